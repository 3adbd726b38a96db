public import Keys

/// What becomes of the bytes of each service on the way to a gateway: a look at one message from every so many bytes, which stands for
/// all of them. Whoever looks takes the sums away. In memory that is there before.
struct ServiceShares: ~Copyable {
    /// Bytes inside between two looks.
    private static let distance = 64 * 1024
    private static let capacity = 256
    /// Places that a service may have.
    private static let probes = 8

    private struct Entry {
        var peer = PeerSlot(0)
        var transport: UInt8 = 0
        var port: UInt16 = 0
        var plain: UInt64 = 0
        var wire: UInt64 = 0
    }

    private var entries = [Entry](repeating: Entry(), count: capacity)
    /// The first look comes soon, so that a little traffic is seen too.
    private var target = 4096
    private var left = 4096

    init() {}

    /// Whether a message with so many bytes inside is looked at.
    @inline(__always)
    mutating func isDue(_ bytes: Int) -> Bool {
        left -= bytes
        return left < 0
    }

    /// Notes what became of it. A service that finds no place is not counted.
    @inline(never)
    mutating func note(_ flow: TraceFlow, plain: Int, wire: Int, to peer: PeerSlot) {
        // As many bytes have gone by since the last look.
        let stands = target - left
        target = Self.distance
        left = target
        guard plain > 0 else { return }
        let ports = (flow.sourcePort, flow.destinationPort)
        let port = ports.0 == 0 || ports.1 == 0 ? max(ports.0, ports.1) : min(ports.0, ports.1)
        let place = (Int(peer.offset) &* 31 &+ Int(flow.transport) &* 7 &+ Int(port)) & (Self.capacity - 1)
        for probe in 0..<Self.probes {
            let index = (place + probe) & (Self.capacity - 1)
            if entries[index].plain == 0 {
                entries[index] = Entry(peer: peer, transport: flow.transport, port: port)
            }
            guard entries[index].peer == peer, entries[index].port == port,
                entries[index].transport == flow.transport
            else { continue }
            entries[index].plain &+= UInt64(stands)
            entries[index].wire &+= UInt64(stands) * UInt64(wire) / UInt64(plain)
            return
        }
    }

    /// What was counted; it begins anew.
    mutating func take() -> [(peer: PeerSlot, sum: ServiceShare.Sum)] {
        var sums: [(peer: PeerSlot, sum: ServiceShare.Sum)] = []
        for index in entries.indices where entries[index].plain > 0 {
            let entry = entries[index]
            let sum = ServiceShare.Sum(
                transport: entry.transport, port: entry.port, plain: entry.plain, wire: entry.wire)
            sums.append((entry.peer, sum))
            entries[index] = Entry()
        }
        return sums
    }
}

/// About how many bytes of a service went to a gateway, inside and on the wire.
public struct ServiceShare: Sendable {
    public struct Sum: Sendable {
        /// The number of the protocol, and the lower port, which is the service's; 0 if there is none.
        public let transport: UInt8
        public let port: UInt16
        public let plain: UInt64
        public let wire: UInt64
    }

    public let peer: PublicKey
    public let sum: Sum
}
