import CTun

/// What a driver does with frames that stand for several.
public struct LinkOffloads: OptionSet, Sendable {
    public let rawValue: Int32

    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Memory in pieces, checksums, segmentation; and by the kernel, on the way to the driver.
    public static let pieces = LinkOffloads(rawValue: Int32(CTUN_PIECES))
    public static let checksums = LinkOffloads(rawValue: Int32(CTUN_CHECKSUMS))
    public static let segmentation = LinkOffloads(rawValue: Int32(CTUN_TSO))
    public static let lateSegmentation = LinkOffloads(rawValue: Int32(CTUN_GSO))
    /// What comes is merged.
    public static let merging = LinkOffloads(rawValue: Int32(CTUN_GRO))

    /// Those of an interface; an error of `ENODEV` if there is none of this name.
    public init(ofDevice name: String) throws(SystemError) {
        rawValue = try SystemError.check(
            ctun_interface_offloads(Array(name.utf8).span), "ask for the offloads of \(name)")
    }
}

/// A port of a bridge.
public struct BridgePort: Equatable, Sendable {
    public let index: UInt32
    public let name: String
    public let mtu: Int
    /// As `ip -d link` calls it; `nil` if it is a network card.
    public let kind: String?
    /// The largest frame that the kernel hands it for several, in bytes; `nil` if it does not say.
    public let largest: Int?

    init?(_ message: NetlinkMessage, of bridge: UInt32) {
        let attributes = message.attributes(after: RTNetlink.linkSize)
        guard attributes[RTNetlink.Link.master]?.native(UInt32.self, at: 0) == bridge,
            let index = message.body.native(UInt32.self, at: 4), let name = attributes[RTNetlink.Link.name]
        else { return nil }
        self.index = index
        self.name = String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
        mtu = Int(attributes[RTNetlink.Link.mtu]?.native(UInt32.self, at: 0) ?? 0)
        kind = message.linkKind
        largest = attributes[RTNetlink.Link.largestSegmented]?.native(UInt32.self, at: 0).map { Int($0) }
    }
}

extension Netlink {
    /// The bridge that the interface `name` is a port of; `nil` if it is of none, or there is no such interface.
    public mutating func bridge(ofDevice name: String) throws(SystemError) -> (index: UInt32, name: String)? {
        let master = try lookUp(name) {
            $0.attributes(after: RTNetlink.linkSize)[RTNetlink.Link.master]?.native(UInt32.self, at: 0)
        }
        guard let master, let bridge = interfaceName(of: master), try kind(ofDevice: bridge) == "bridge" else {
            return nil
        }
        return (master, bridge)
    }

    /// The ports of a bridge.
    public mutating func ports(ofBridge index: UInt32) throws(SystemError) -> [BridgePort] {
        var request = request(RTNetlink.getLink, flags: RTNetlink.dump)
        request.append(UInt32(0))
        request.append(UInt32(0))
        request.append(UInt32(0))
        request.append(UInt32(0))
        // Kernels before 4.2 list all interfaces.
        request.append(RTNetlink.Link.master, index)
        return try ask(request, "list the ports of bridge \(index)").compactMap { BridgePort($0, of: index) }
    }
}
