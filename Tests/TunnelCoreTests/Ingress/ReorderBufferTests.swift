import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct ReorderBufferTests {
    @Test("what follows a hole waits until that is repaired, and comes in order", arguments: [false, true])
    func repair(isV6: Bool) {
        var bed = ReorderBed(isV6: isV6)
        bed.take(0, counter: 1)
        bed.take(200, counter: 3, missing: 2)
        bed.take(300, counter: 4, missing: 2)
        let before = bed.sequences
        #expect(before == [0])
        bed.take(100, counter: 2)
        bed.take(400, counter: 5)
        let after = bed.sequences
        #expect(after == [0, 100, 200, 300, 400])
    }

    @Test("two holes are repaired one after the other, in any order")
    func twoHoles() {
        for isLateFirst in [false, true] {
            var bed = ReorderBed()
            bed.take(0, counter: 1)
            for number in [2, 4, 5] as [UInt64] { bed.take(UInt32(number) * 100, counter: number + 1, missing: 2) }
            bed.take(isLateFirst ? 300 : 100, counter: isLateFirst ? 4 : 2, missing: isLateFirst ? 2 : 4)
            bed.release(below: isLateFirst ? 2 : 4)
            let between = bed.sequences
            #expect(between == (isLateFirst ? [0] : [0, 100, 200]))
            bed.take(isLateFirst ? 100 : 300, counter: isLateFirst ? 2 : 4)
            bed.release(below: nil)
            let after = bed.sequences
            #expect(after == [0, 100, 200, 300, 400, 500])
        }
    }

    @Test("when a hole is given up, what waited for it goes on, up to the next one")
    func givenUp() {
        var bed = ReorderBed()
        bed.take(0, counter: 1)
        bed.take(200, counter: 3, missing: 2)
        bed.take(400, counter: 5, missing: 2)
        bed.take(500, counter: 6, missing: 2)
        bed.release(below: 4)
        let before = bed.sequences
        #expect(before == [0, 200])
        bed.take(300, counter: 4)
        let after = bed.sequences
        #expect(after == [0, 200, 300, 400, 500])
    }

    @Test("what comes when nothing is missing any more does not overtake what waited, whether that was released or not")
    func notReleased() {
        var bed = ReorderBed()
        bed.take(0, counter: 1)
        bed.take(200, counter: 3, missing: 2)
        bed.take(400, counter: 5)
        let sequences = bed.sequences
        #expect(sequences == [0, 200, 400])
    }

    @Test("a hole in one flow delays no other, and none of another peer")
    func otherFlows() {
        var bed = ReorderBed()
        for port in [1, 2] as [UInt16] { bed.take(0, port: port, counter: 1) }
        bed.take(0, from: 1, counter: 1)
        bed.take(200, port: 1, counter: 3, missing: 2)
        bed.take(100, port: 2, counter: 3, missing: 2)
        bed.take(200, port: 2, counter: 4, missing: 2)
        bed.take(200, from: 1, counter: 9, missing: 3)
        let ports = bed.out.map { "\(PacketView($0).ports.0):\(PacketView($0).sequence)" }
        #expect(ports == ["1:0", "2:0", "1:0", "2:100", "2:200"])
        bed.release(below: nil, of: 1)
        bed.release(below: nil, of: 7)
        let count = bed.out.count
        #expect(count == 6)
        let held = bed.statistics().packets
        #expect(held == 1)
    }

    @Test("UDP, ICMP, fragments, packets without payload and broken headers never wait")
    func neverWaits() {
        var bed = ReorderBed()
        bed.take(0, counter: 1)
        bed.take(bed.packet(200, count: 0), counter: 3, missing: 2)
        var udp = Segment()
        udp.isTCP = false
        udp.payload = [1, 2, 3]
        bed.take(udp.bytes, counter: 3, missing: 2)
        var icmp = PacketView(udp.bytes)
        icmp.transport = 1
        bed.take(icmp.bytes, counter: 3, missing: 2)
        var fragment = Segment(sequence: 200, payload: [1])
        fragment.fragment = 0x2000
        bed.take(fragment.bytes, counter: 3, missing: 2)
        var broken = PacketView(bed.packet(200))
        broken.bytes[32] = 0x10
        bed.take(broken.bytes, counter: 3, missing: 2)
        let out = bed.out.count
        #expect(out == 6)
    }

    @Test("sequence numbers go on behind 2³²")
    func wrap() {
        var bed = ReorderBed()
        let start = UInt32.max - 150
        bed.take(start, counter: 1)
        for number in [2, 3, 4] as [UInt64] {
            bed.take(start &+ UInt32(number) * 100, counter: number + 1, missing: 2)
        }
        let before = bed.out.count
        #expect(before == 1)
        bed.take(start &+ 100, counter: 2)
        let sequences = bed.sequences
        #expect(sequences == (0..<5).map { start &+ UInt32($0) * 100 })
    }

    @Test(
        "what TCP sends again goes on at once, unless something of its flow waits: then behind that; nothing is lost or comes more often"
    )
    func retransmission() {
        var bed = ReorderBed()
        bed.take(0, counter: 1)
        bed.take(100, counter: 2)
        bed.take(300, counter: 4, missing: 3)
        bed.take(0, counter: 5, missing: 3)
        let first = bed.sequences
        #expect(first == [0, 100])
        bed.take(300, counter: 6, missing: 3)
        // TCP is faster than the repair, which comes nevertheless.
        bed.take(200, counter: 7, missing: 3)
        bed.take(200, counter: 3)
        bed.release(below: nil)
        let sequences = bed.sequences
        #expect(sequences == [0, 100, 200, 300, 300, 0, 200])
        bed.take(100, counter: 7)
        let more = bed.sequences
        #expect(more == [0, 100, 200, 300, 300, 0, 200, 100])
        // It begins before what comes next, and ends behind it.
        bed.take(bed.packet(350, count: 150), counter: 8)
        bed.take(500, counter: 9)
        bed.take(700, counter: 11, missing: 10)
        let all = bed.sequences
        #expect(all == [0, 100, 200, 300, 300, 0, 200, 100, 350, 500])
    }

    @Test("a connection begins with SYN and ends with FIN, which take a number, or with RST")
    func connection() {
        var bed = ReorderBed()
        bed.take(bed.packet(1000, count: 0, flags: 0x02), counter: 1)
        bed.take(1101, counter: 3, missing: 2)
        // FIN, without payload.
        bed.take(bed.packet(1201, count: 0, flags: 0x11), counter: 4, missing: 2)
        let first = bed.sequences
        #expect(first == [1000])
        bed.take(1001, counter: 2)
        let second = bed.sequences
        #expect(second == [1000, 1001, 1101, 1201])
        // Nothing comes behind FIN but another connection.
        bed.take(bed.packet(5_000_000, count: 0, flags: 0x02), counter: 5)
        bed.take(5_000_101, counter: 7, missing: 6)
        bed.take(bed.packet(5_000_001, count: 0, flags: 0x04), counter: 8, missing: 6)
        let third = Array(bed.sequences.dropFirst(4))
        #expect(third == [5_000_000, 5_000_001, 5_000_101])
        // What comes then is the first that is known of it.
        bed.take(9_000_000, counter: 9, missing: 6)
        bed.take(9_000_100, counter: 10, missing: 6)
        let fourth = Array(bed.sequences.dropFirst(7))
        #expect(fourth == [9_000_000, 9_000_100])
    }

    @Test("SYN of a new connection lets go what waits of the old one")
    func restart() {
        var bed = ReorderBed()
        bed.take(0, counter: 1)
        bed.take(200, counter: 3, missing: 2)
        bed.take(bed.packet(70_000, count: 0, flags: 0x02), counter: 4, missing: 2)
        bed.take(70_001, counter: 5, missing: 2)
        let sequences = bed.sequences
        #expect(sequences == [0, 70_000, 200, 70_001])
    }

    @Test("a number that is far from what comes next begins anew")
    func far() {
        for far in [1 << 30, 3 << 30] as [UInt32] {
            var bed = ReorderBed()
            bed.take(0, counter: 1)
            bed.take(200, counter: 3, missing: 2)
            bed.take(far, counter: 4, missing: 2)
            bed.take(far + 100, counter: 5, missing: 2)
            let sequences = bed.sequences
            #expect(sequences == [0, 200, far, far + 100])
        }
    }

    @Test("a super-segment counts with all its payload, and comes as it was", arguments: [false, true])
    func superSegments(isV6: Bool) {
        var bed = ReorderBed(isV6: isV6)
        bed.take(0, counter: 1)
        let large = bed.packet(200, count: isV6 ? 65_475 : 65_000)
        bed.take(large, segment: 1400, counter: 3, missing: 2)
        let next = 200 + UInt32(isV6 ? 65_475 : 65_000)
        bed.take(next, counter: 4, missing: 2)
        bed.take(100, counter: 2)
        let sequences = bed.sequences
        let isSame = bed.out[2] == large
        let segments = bed.segments
        #expect(sequences == [0, 100, 200, next])
        #expect(isSame)
        #expect(segments == [0, 0, 1400, 0])
    }

    @Test("nothing overtakes what is ready and was not taken out yet, not even what TCP sends again")
    func ready() {
        var bed = ReorderBed(isDraining: false)
        bed.take(0, counter: 1)
        bed.take(200, counter: 3, missing: 2)
        bed.take(100, counter: 2)
        bed.take(300, counter: 4)
        bed.take(500, counter: 6, missing: 5)
        bed.take(400, counter: 5)
        bed.take(50, counter: 7)
        bed.take(0, port: 2, counter: 8)
        let before = bed.sequences
        #expect(before == [0, 100, 0])
        bed.drain()
        bed.take(600, counter: 9)
        let after = bed.sequences
        #expect(after == [0, 100, 0, 200, 300, 400, 500, 50, 600])
    }

    @Test("peers take turns with what is ready")
    func turns() {
        var bed = ReorderBed(isDraining: false)
        for peer in [0, 1, 2] as [PeerSlot] {
            bed.take(0, from: peer, counter: 1)
            for number in [2, 3] as [UInt64] {
                bed.take(UInt32(number) * 100, from: peer, counter: number + 1, missing: 2)
            }
        }
        for peer in [0, 1, 2] as [PeerSlot] { bed.release(below: nil, of: peer) }
        bed.drain(1, of: 1)
        bed.drain()
        let peers = bed.peers.suffix(6).map(\.offset)
        #expect(peers == [1, 0, 1, 2, 0, 2])
        let more = bed.buffer.hasReady
        #expect(!more)
    }

    @Test("a peer holds half of the memory and no more; what has no room goes on and is counted")
    func peerBound() {
        var bed = ReorderBed()
        bed.take(0, counter: 1)
        bed.fill(0, 10_000)
        let statistics = bed.statistics()
        let allocated = bed.buffer.allocated
        #expect(statistics.packets == 0)
        // The one that has no room goes on, and what waited goes after it: from then on it waits for nothing.
        #expect(statistics.held == 8192 && statistics.overflow == 1)
        #expect(allocated == 16 << 20)
        let sequences = Set(bed.sequences)
        #expect(sequences.count == 10_001)
    }

    @Test("all peers together hold what there is for all and no more, and whoever comes next has room")
    func wholeBound() {
        var bed = ReorderBed(isDraining: false)
        for number in 0..<14 {
            let peer = PeerSlot(number)
            bed.take(0, from: peer, counter: 1)
            while bed.statistics(of: peer).overflow == 0 {
                bed.take(200 + UInt32(bed.statistics(of: peer).held) * 100, from: peer, counter: 3, missing: 2)
            }
        }
        let held = (0..<14).map { bed.statistics(of: PeerSlot($0)).packets }
        #expect(held == (1...14).map { 16_384 >> $0 })
        let allocated = bed.buffer.allocated
        #expect(allocated <= 32 << 20)
        bed.drain()
        bed.buffer.trim()
        let rest = bed.buffer.allocated
        #expect(rest == 0)
        bed.take(400, from: 13, counter: 9, missing: 8)
        bed.take(700, from: 13, counter: 9, missing: 8)
        let again = bed.buffer.allocated
        #expect(again == 1 << 20)
        bed.buffer.trim()
        bed.release(below: nil, of: 13)
        bed.drain()
        let last = bed.sequences.last
        #expect(last == 700)
    }

    @Test("a thousand flows wait side by side, each in its order")
    func thousandFlows() {
        var bed = ReorderBed()
        for port in 1...1000 as ClosedRange<UInt16> { bed.take(0, port: port, counter: 1) }
        for number in [3, 2, 4] as [UInt32] {
            for port in 1...1000 as ClosedRange<UInt16> { bed.take(number * 100, port: port, counter: 3, missing: 2) }
        }
        // Some have no entry, since four others have theirs there.
        let waiting = bed.statistics().packets
        #expect(waiting > 2900)
        for port in 1...1000 as ClosedRange<UInt16> { bed.take(100, port: port, counter: 2) }
        bed.release(below: nil)
        let flows = Dictionary(grouping: bed.out.map { PacketView($0) }, by: { $0.ports.0 })
        let inOrder = flows.values.filter { $0.map(\.sequence) == [0, 100, 200, 300, 400] }
        #expect(flows.count == 1000 && flows.values.allSatisfy { $0.count == 5 })
        #expect(inOrder.count > 960)
    }

    @Test("an entry of which packets wait is no other flow's")
    func entries() {
        var bed = ReorderBed()
        bed.take(0, port: 1, counter: 1)
        bed.take(200, port: 1, counter: 3, missing: 2)
        for port in 2...20_000 as ClosedRange<UInt16> { bed.take(0, port: port, counter: 4, missing: 2) }
        let waiting = bed.statistics().packets
        #expect(waiting == 1)
        bed.take(100, port: 1, counter: 2)
        let last = bed.out.suffix(2).map { PacketView($0).sequence }
        #expect(last == [100, 200])
    }

    @Test("nothing waits for more than two seconds")
    func expiry() {
        var bed = ReorderBed()
        let start = bed.now
        let never = bed.buffer.nextExpiry
        #expect(never == nil)
        bed.take(0, counter: 1)
        bed.take(300, counter: 4, missing: 2)
        bed.now = start + .milliseconds(100)
        bed.take(200, counter: 5, missing: 2)
        bed.take(500, counter: 6, missing: 2)
        let due = bed.buffer.nextExpiry
        #expect(due == start + .seconds(2))
        bed.expire(at: start + .milliseconds(1999))
        let before = bed.sequences
        #expect(before == [0])
        // What is before it in the flow goes with it.
        bed.expire(at: start + .seconds(2))
        let after = bed.sequences
        #expect(after == [0, 200, 300])
        let next = bed.buffer.nextExpiry
        #expect(next == start + .milliseconds(2100))
        bed.expire(at: start + .seconds(3))
        let end = bed.sequences
        let last = bed.buffer.nextExpiry
        #expect(end == [0, 200, 300, 500] && last == nil)
    }

    @Test("of a peer that is gone nothing is left, waiting or ready, and of the others everything")
    func removal() {
        var bed = ReorderBed(isDraining: false)
        for peer in [0, 1] as [PeerSlot] {
            for port in [1, 2] as [UInt16] {
                bed.take(0, port: port, from: peer, counter: 1)
                bed.take(200, port: port, from: peer, counter: 3, missing: 2)
            }
            bed.take(100, port: 1, from: peer, counter: 2, missing: nil)
        }
        let ready = bed.buffer.hasReady
        #expect(ready)
        let dropped = bed.buffer.removeAll(of: 0)
        let unknown = bed.buffer.removeAll(of: 9)
        #expect(dropped == 2 && unknown == 0)
        let held = bed.statistics().held
        #expect(held == 2)
        bed.drain()
        bed.release(below: nil, of: 0)
        bed.release(below: nil, of: 1)
        bed.drain()
        let last = bed.peers.suffix(2).map(\.offset)
        #expect(last == [1, 1] && bed.out.count == 8)
        // Its flows are not known any more.
        bed.take(500, port: 2, from: 0, counter: 9, missing: 8)
        let count = bed.out.count
        #expect(count == 9)
        let forgotten = bed.buffer.forget(0)
        let statistics = bed.statistics()
        #expect(forgotten == 0 && statistics.held == 0)
    }

    @Test("it is known what is held and for how long")
    func statistics() {
        var bed = ReorderBed()
        bed.take(0, counter: 1)
        let start = bed.now
        for number in 2...101 as ClosedRange<UInt64> { bed.take(UInt32(number) * 100, counter: number + 1, missing: 2) }
        bed.now = start + .milliseconds(40)
        let before = bed.statistics()
        #expect(before.packets == 100 && before.bytes == 100 * 140 && before.held == 100)
        #expect(before.median.nanoseconds == 0)
        bed.take(100, counter: 2)
        let after = bed.statistics()
        #expect(after.packets == 0 && after.bytes == 0 && after.held == 100 && after.overflow == 0)
        #expect(after.median >= .milliseconds(40) && after.median < .milliseconds(60))
        #expect(after.percentile99 == after.median)
    }

    @Test("over a link that loses and repairs, every flow comes in the order in which it was sent", arguments: 0..<40)
    func lossyLink(seed: UInt64) {
        var noise = Noise(seed: seed)
        var bed = ReorderBed(isV6: seed % 2 == 1, isDraining: seed % 3 > 0)
        let flows = 1 + Int(noise.next() % 6)
        let loss = 1 + noise.next() % 20
        var next = (0..<flows).map { _ in UInt32(truncatingIfNeeded: noise.next()) }
        var sent = [[UInt32]](repeating: [], count: flows)
        var lost: [(due: Int, counter: UInt64, packets: [[UInt8]])] = []
        for flow in 0..<flows {
            bed.take(bed.packet(next[flow], count: 0, port: UInt16(flow), flags: 0x02), counter: 0)
            sent[flow].append(next[flow])
            next[flow] &+= 1
        }
        for step in 1...300 {
            let counter = UInt64(step)
            var packets: [[UInt8]] = []
            for _ in 0...noise.next() % 3 where step < 250 {
                let flow = Int(noise.next() % UInt64(flows))
                let count = noise.next() % 10 == 0 ? 3000 : 1 + Int(noise.next() % 100)
                packets.append(bed.packet(next[flow], count: count, port: UInt16(flow)))
                sent[flow].append(next[flow])
                next[flow] &+= UInt32(count)
            }
            if step < 250, noise.next() % 100 < loss {
                lost.append((step + 5 + Int(noise.next() % 40), counter, packets))
            } else {
                bed.take(packets, counter: counter, missing: lost.map(\.counter).min())
            }
            while let index = lost.firstIndex(where: { $0.due <= step }) {
                let repaired = lost.remove(at: index)
                let missing = lost.map(\.counter).filter { $0 < counter }.min()
                bed.take(repaired.packets, counter: repaired.counter, missing: missing)
                bed.release(below: missing)
            }
            if noise.next() % 4 == 0 { bed.drain(Int(noise.next() % 8)) }
        }
        bed.drain()
        var came = [[UInt32]](repeating: [], count: flows)
        for packet in bed.out { came[Int(PacketView(packet).ports.0)].append(PacketView(packet).sequence) }
        #expect(came == sent)
        let left = bed.statistics().packets
        #expect(left == 0)
    }
}

/// A buffer, and the device behind it.
struct ReorderBed: ~Copyable {
    var buffer = ReorderBuffer(seed: 7)
    var now = Instant(nanoseconds: 10_000_000_000)
    let isV6: Bool
    /// What is ready goes to the device at once.
    let isDraining: Bool
    private(set) var out: [[UInt8]] = []
    private(set) var peers: [PeerSlot] = []
    private(set) var segments: [Int] = []
    private var space = Arena(capacity: 1 << 17)

    init(isV6: Bool = false, isDraining: Bool = true) {
        self.isV6 = isV6
        self.isDraining = isDraining
    }

    var sequences: [UInt32] { out.map { PacketView($0).sequence } }

    func packet(_ sequence: UInt32, count: Int = 100, port: UInt16 = 1, flags: UInt8 = 0x10) -> [UInt8] {
        Segment(
            isV6: isV6, ports: (port, 80), sequence: sequence, flags: flags,
            payload: [UInt8](repeating: UInt8(truncatingIfNeeded: sequence), count: count)
        ).bytes
    }

    mutating func take(
        _ sequence: UInt32, port: UInt16 = 1, from peer: PeerSlot = 0, counter: UInt64, missing: UInt64? = nil
    ) {
        take(packet(sequence, port: port), from: peer, counter: counter, missing: missing)
    }

    mutating func take(_ packets: [[UInt8]], counter: UInt64, missing: UInt64?) {
        for packet in packets { take(packet, counter: counter, missing: missing) }
    }

    mutating func take(
        _ packet: [UInt8], segment: Int = 0, from peer: PeerSlot = 0, counter: UInt64, missing: UInt64? = nil
    ) {
        _ = give(packet, segment: segment, from: peer, counter: counter, missing: missing)
        if isDraining { drain() }
    }

    /// Whether it went on at once.
    mutating func give(_ packet: [UInt8], segment: Int, from peer: PeerSlot, counter: UInt64, missing: UInt64?) -> Bool
    {
        let bytes = unsafe packet.span.bytes
        guard let header = InternetPacket(bytes) else { return false }
        let shape = MemberShape(layout: PacketLayout(bytes, header), segment: segment)
        let arrival = ReorderBuffer.Arrival(
            peer: peer, header: header, shape: shape, counter: counter, missing: missing)
        guard case .deliver = buffer.take(bytes, arrival, at: now) else { return false }
        out.append(packet)
        peers.append(peer)
        segments.append(segment)
        return true
    }

    mutating func release(below missing: UInt64?, of peer: PeerSlot = 0) {
        buffer.release(peer, below: missing)
        if isDraining { drain() }
    }

    mutating func expire(at time: Instant) {
        now = time
        buffer.expire(at: time)
        if isDraining { drain() }
    }

    mutating func drain(_ most: Int = .max, of peer: PeerSlot? = nil) {
        for _ in 0..<most {
            guard let ready = next(of: peer) else { return }
            // The compiler takes it to borrow all of us.
            var place = unsafe _overrideLifetime(space[0..<ready.length], copying: ())
            buffer.pop(ready, into: &place, at: now)
            out.append((0..<ready.length).map { place.bytes.byte(at: $0) })
            peers.append(ready.peer)
            segments.append(ready.shape.segment)
        }
    }

    private mutating func next(of peer: PeerSlot?) -> ReorderBuffer.Ready? {
        guard let peer else { return buffer.nextReady() }
        return buffer.nextReady(of: peer)
    }

    /// Sends so many packets behind a hole.
    mutating func fill(_ first: UInt32, _ count: UInt32) {
        for number in 0..<count { take(first + 200 + number * 100, counter: 3, missing: 2) }
    }

    func statistics(of peer: PeerSlot = 0) -> ReorderStatistics { buffer.statistics(of: peer, at: now) }
}
