import Addresses

@testable import TestKit
@testable import TunnelCore

/// Two gateways with a session, alice who sends and bob who receives, and what comes out for bob's device.
final class FuzzLink {
    let pair: Pair
    /// The frames with their virtio headers that bob's device was given.
    var frames: [[UInt8]] = []
    /// What bob's inbox borrows.
    private var borrowed: [Datagram] = []

    var alice: End { pair.alice }
    var bob: End { pair.bob }
    var link: Link { pair.link }

    /// A datagram in memory of its own, so that whatever reads beside it is found.
    @safe private final class Datagram {
        let memory: UnsafeMutableRawBufferPointer

        init(_ bytes: [UInt8]) {
            unsafe memory = .allocate(byteCount: bytes.count, alignment: 1)
            unsafe memory.copyBytes(from: bytes)
        }

        deinit { unsafe memory.deallocate() }
    }

    /// packs: both take what is larger than a datagram, in pieces; inside there are 9000 bytes, and outside 1500.
    init(
        _ first: CompressionPolicy, _ second: CompressionPolicy, _ cipher: CipherPolicy, merges: Bool,
        packs: Bool = false, history: Bool = false
    ) {
        var options = [first, second].map { Pair.Options(compression: $0, cipher: cipher, history: history) }
        for index in options.indices { options[index].packs = packs }
        pair = Pair(alice: options[0], bob: options[1])
        for end in packs ? [pair.alice, pair.bob] : [] {
            end.routeMTU = 1500
            pair.link.change(end) { tunnel, _ in
                tunnel.mtu = 9000
                tunnel.framePayload = 1420
            }
        }
        bob.tunnel.inbox.mergesTCP = merges
        bob.tunnel.inbox.mergesUDP = merges
        pair.connect()
        guard packs else { return }
        pair.link.run(for: .seconds(1))
        pair.connect()
    }

    // MARK: To bob

    /// Hands a datagram to bob. What he has for his device stays with him until there is no room or `flush` is called.
    func deliver(_ bytes: [UInt8], from source: Endpoint, trafficClass: UInt8 = 0) throws(Violation) {
        let datagram = Datagram(bytes)
        borrowed.append(datagram)
        var span = unsafe MutableRawSpan(_unsafeBytes: datagram.memory)
        bob.tunnel.handleDatagram(&span, from: Path(source), trafficClass: trafficClass, at: link.now(at: bob))
        bob.driver.makeRoom()
    }

    /// Gives bob's device what is there for it, and the wire what he says.
    func flush() throws(Violation) {
        frames += bob.driver.takeWrites().map { $0.virtio + $0.packet }
        borrowed.removeAll()
        for frame in frames { _ = try Self.packets(of: frame, from: [site(1)]) }
        try require(bob.tunnel.drops[.overflow] == 0, "an inbox without room")
        link.settle(bob)
    }

    /// The packets that bob's device was given, and no longer has.
    func takePackets() throws(Violation) -> [[UInt8]] {
        try flush()
        defer { frames = [] }
        return frames.flatMap { kernelSplit($0) ?? [] }
    }

    /// The packets that the kernel makes of a frame for the device; each must be whole, and come from one of the sites.
    static func packets(of frame: [UInt8], from sites: [Site]) throws(Violation) -> [[UInt8]] {
        guard let packets = kernelSplit(frame) else {
            throw Violation("the kernel would refuse the frame \(frame.prefix(80)) of \(frame.count)")
        }
        for packet in packets {
            guard let source = source(of: packet) else {
                throw Violation("not a whole packet: \(packet.prefix(60)) of \(packet.count)")
            }
            let isAllowed = sites.contains { $0.allowedIPs.contains { $0.contains(source) } }
            try require(isAllowed, "a packet from \(source)")
        }
        return packets
    }

    /// The source of a packet that is whole, to the byte.
    static func source(of packet: [UInt8]) -> IPAddress? {
        let view = PacketView(packet)
        guard hasHeader(packet), view.length == packet.count else { return nil }
        return view.isV6
            ? .v6(view.source.reduce(0) { $0 << 8 | UInt128($1) }) : .v4(view.source.reduce(0) { $0 << 8 | UInt32($1) })
    }

    // MARK: Afterwards

    /// The session still carries packets, both ways.
    func expectAlive() throws(Violation) {
        try flush()
        link.settle(alice)
        link.drain()
        for end in [alice, bob] { _ = end.driver.takeWrites() }
        pair.forget()
        let packets = (udp(1, 2, text(1000), port: 9), udp(2, 1, text(1000), port: 9))
        link.send(packets.0, from: alice)
        link.drain()
        // By now bob knows where she is.
        link.send(packets.1, from: bob)
        link.drain()
        try require(bob.received == [packets.0], "alice's packet did not arrive")
        try require(alice.received == [packets.1], "bob's packet did not arrive")
    }
}

/// What tells the flow of a packet: packets of one flow arrive in order.
func flow(of packet: [UInt8]) -> [UInt8] {
    let (view, number) = (PacketView(packet), PacketView(packet).transport)
    let hasPorts = (number == 6 || number == 17) && !view.isFragment && packet.count >= view.start + 4
    return [number] + view.addresses + (hasPorts ? packet[view.start..<view.start + 4] : [])
}

/// Packets by flow, in order; without what the device's merging may lose.
func byFlow(_ packets: [[UInt8]], merges: Bool) -> [[UInt8]: [[UInt8]]] {
    Dictionary(grouping: packets.map { merges ? withoutMeaninglessIdentifier($0) : $0 }, by: flow)
}

/// Throws unless both are the same packets in the same order, flow by flow.
func requireSame(_ received: [[UInt8]], _ sent: [[UInt8]], merges: Bool) throws(Violation) {
    let (received, sent) = (byFlow(received, merges: merges), byFlow(sent, merges: merges))
    for (flow, packets) in sent {
        let others = received[flow] ?? []
        guard others != packets else { continue }
        let place = zip(others, packets).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        throw Violation(
            "flow \(flow): \(packets.count) sent, \(others.count) received, "
                + (place.map { "the first that differs is \($0): \(packets[$0]) became \(others[$0])" } ?? ""))
    }
    try require(received.count == sent.count, "packets that nobody sent: \(received.keys.filter { sent[$0] == nil })")
}
