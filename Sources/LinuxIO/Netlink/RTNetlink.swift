/// The numbers of `linux/netlink.h`, `rtnetlink.h`, `if_link.h`, `if_addr.h` and `fib_rules.h` that are used here.
enum RTNetlink {
    static let headerSize = 16

    // Flags of a message.
    static let request: UInt16 = 0x001
    static let acknowledge: UInt16 = 0x004
    static let echo: UInt16 = 0x008
    static let dump: UInt16 = 0x300
    static let exclusive: UInt16 = 0x200
    static let create: UInt16 = 0x400
    static let dumpInterrupted: UInt16 = 0x010

    // Types.
    static let error: UInt16 = 2
    static let done: UInt16 = 3
    static let newLink: UInt16 = 16
    static let deleteLink: UInt16 = 17
    static let getLink: UInt16 = 18
    static let setLink: UInt16 = 19
    static let newAddress: UInt16 = 20
    static let deleteAddress: UInt16 = 21
    static let newRoute: UInt16 = 24
    static let deleteRoute: UInt16 = 25
    static let getRoute: UInt16 = 26
    static let newRule: UInt16 = 32
    static let deleteRule: UInt16 = 33
    static let getRule: UInt16 = 34

    // The sizes of the fixed parts.
    static let linkSize = 16
    static let addressSize = 8
    static let routeSize = 12
    static let ruleSize = 12

    enum Link {
        static let address: UInt16 = 1
        static let name: UInt16 = 3
        static let mtu: UInt16 = 4
        static let master: UInt16 = 10
        static let information: UInt16 = 18
        static let statistics: UInt16 = 23
        /// Where `tx_dropped` is in a `rtnl_link_stats64`.
        static let transmitDrops = 7 * 8
        static let kind: UInt16 = 1
        static let isUp: UInt32 = 1
        static let familySpecific: UInt16 = 26
        static let largestSegmented: UInt16 = 41
        static let inet6: UInt16 = 10
        static let addressGeneration: UInt16 = 8
    }

    enum Address {
        static let address: UInt16 = 1
        static let local: UInt16 = 2
        static let withoutDuplicateDetection: UInt8 = 2
    }

    enum Route {
        static let destination: UInt16 = 1
        static let interface: UInt16 = 4
        static let gateway: UInt16 = 5
        static let metric: UInt16 = 6
        static let preferredSource: UInt16 = 7
        static let metrics: UInt16 = 8
        static let table: UInt16 = 15
        static let mark: UInt16 = 16
        static let mtuMetric: UInt16 = 2

        static let bootProtocol: UInt8 = 3
        static let universe: UInt8 = 0
        static let linkScope: UInt8 = 253
        static let nowhere: UInt8 = 255
        static let unicast: UInt8 = 1
        static let cloned: UInt32 = 0x200
    }

    enum Rule {
        static let incoming: UInt16 = 3
        static let priority: UInt16 = 6
        static let mark: UInt16 = 10
        static let suppressPrefixLength: UInt16 = 14
        static let table: UInt16 = 15
        static let outgoing: UInt16 = 17
        static let lookUp: UInt8 = 1
        static let invert: UInt32 = 2
    }

    // Groups as bits.
    static let linkGroup: UInt32 = 1 << 0
    static let addressGroups: UInt32 = 1 << 4 | 1 << 8
    static let routeGroups: UInt32 = 1 << 6 | 1 << 10
}
