/// TCP packets that wait for what was lost before them and is sent again, so that the TCP inside sees no reordering.
///
///     datagram   7: A1   8: lost   9: A3 B1   10: A4        A3 and A4 wait for A2, which is in 8; B1 goes on
///
/// Only what is ahead of its flow waits, and only while a datagram below its own is missing. Whatever else there is never waits: other
/// protocols, fragments, packets without payload. What TCP itself sends again stays behind what waits of its flow. What waits becomes ready, in the order of its flow's
/// sequence numbers, as soon as that is complete, or when nothing that it may wait for is missing, or after two seconds. Where there is no
/// room for it, it goes on.
///
/// Nothing that follows overtakes what is ready: it joins it. So packets that are ready may stay for as long as the owner likes.
struct ReorderBuffer: ~Copyable {
    enum Verdict {
        /// It goes to the device now, before all that is ready.
        case deliver
        /// A copy of it was kept, which waits, or is ready.
        case held
    }

    /// How a packet came.
    struct Arrival {
        let peer: PeerSlot
        let header: InternetPacket
        let shape: MemberShape
        /// Of the datagram that completed it.
        let counter: UInt64
        /// The lowest counter that is waited for; `nil`: none is.
        let missing: UInt64?
        /// What is before the packet, in a frame, and the VLANs that that is in.
        var start = 0
        var vlans: UInt32 = 0
    }

    /// A packet that may go to the device, good until something is taken in, released, popped or removed.
    struct Ready {
        let peer: PeerSlot
        let length: Int
        let shape: MemberShape
        let place: Int32
    }

    /// What there is of one peer.
    struct Line {
        var ready = HeldPackets.List()
        /// It has a turn, before the peer `next`.
        var hasTurn = false
        var next: Int32 = -1
        var blocks = 0
        var packets = 0
        var bytes = 0
        var held: UInt64 = 0
        var overflow: UInt64 = 0
        var delays = DelayHistogram()
    }

    /// The longest that a packet waits.
    static let longest = Interval.seconds(2)
    /// What is farther ahead is of another connection, or no TCP.
    private static let reach: Int32 = 1 << 30
    private static let reset: UInt8 = 0x04
    private static let synchronize: UInt8 = 0x02

    private let hash: KeyedHash
    var held = HeldPackets()
    var flows = OrderedFlows()
    var lines = ContiguousArray<Line>()
    /// The peers that have a turn.
    var turns = HeldPackets.List()
    var readyCount = 0

    init(seed: UInt64 = 0) { hash = KeyedHash(seed: seed) }

    // MARK: In

    /// Lets a packet pass, or keeps a copy of it until what is before it has come. Of a datagram that was missing, the packets are
    /// taken in before what waited for them is released.
    mutating func take(_ packet: RawSpan, _ arrival: Arrival, at now: Instant) -> Verdict {
        let layout = arrival.shape.layout
        guard layout.transport == .tcp else { return .deliver }
        let inner = packet.extracting(arrival.start..<packet.byteCount)
        let sequence = inner.big32(at: layout.internet + TCPHeader.sequence)
        let flags = inner.byte(at: layout.internet + TCPHeader.flags)
        let length = arrival.header.length - layout.header + Int(flags & 1)
        guard length > 0 || flags & (Self.reset | Self.synchronize) != 0 else { return .deliver }
        let name = max(hash.flow(of: inner, arrival.header, with: arrival.peer) ^ UInt64(arrival.vlans) << 32, 1)
        if flags & Self.reset != 0 {
            forget(name)
            return .deliver
        }
        while lines.count <= arrival.peer.offset { lines.append(Line()) }
        guard let index = flows.entry(name, of: arrival.peer, at: now) else { return .deliver }
        var end = sequence &+ UInt32(truncatingIfNeeded: length)
        if flags & Self.synchronize != 0 {
            end &+= 1
            restart(index, at: end)
            return .deliver
        }
        let held = HeldPackets.Packet(
            sequence: sequence, end: end, flow: Int32(index), counter: arrival.counter, heldAt: now,
            shape: arrival.shape)
        return take(packet, held, missing: arrival.missing)
    }

    private mutating func take(_ bytes: RawSpan, _ packet: HeldPackets.Packet, missing: UInt64?) -> Verdict {
        let index = Int(packet.flow)
        if !flows[index].isKnown { flows[index].next = packet.sequence }
        let distance = Int32(bitPattern: packet.sequence &- flows[index].next)
        let mayWait = missing.map { $0 < packet.counter } ?? false
        if distance > 0, distance < Self.reach, mayWait {
            if let place = keep(bytes, packet) {
                held.startAging(place)
                flows.insert(place, into: index, &held)
                return .held
            }
            proceed(index, to: packet.end)
            return .deliver
        }
        if distance <= 0, distance > -Self.reach, mayWait, !flows[index].waiting.isEmpty,
            held[flows[index].waiting.head].counter < packet.counter
        {
            // TCP takes for lost what was sent before it and is overtaken (RFC 8985).
            guard let place = keep(bytes, packet) else { return .deliver }
            held.startAging(place)
            flows.append(again: place, to: index, &held)
            return .held
        }
        if distance < 0, distance > -Self.reach {
            guard Int32(bitPattern: packet.end &- flows[index].next) > 0 else { return follow(bytes, packet) }
        } else if distance >= Self.reach || distance < 0 {
            restart(index, at: packet.sequence)
        }
        // What is before it and waits for something else goes first.
        while !flows[index].waiting.isEmpty, packet.isBehind(held[flows[index].waiting.head]) {
            makeReady(flows.removeFirst(of: index, &held))
        }
        guard flows[index].ready > 0, let place = keep(bytes, packet) else {
            proceed(index, to: packet.end)
            return .deliver
        }
        makeReady(place)
        proceed(index, to: packet.end)
        return .held
    }

    /// Lets a packet of which nothing is new go on, behind what is ready.
    private mutating func follow(_ bytes: RawSpan, _ packet: HeldPackets.Packet) -> Verdict {
        guard flows[Int(packet.flow)].ready > 0, let place = keep(bytes, packet) else { return .deliver }
        makeReady(place)
        return .held
    }

    /// Keeps a copy of a packet; `nil`, counted, if there is no room. No peer has more than are left for the others.
    private mutating func keep(_ bytes: RawSpan, _ packet: HeldPackets.Packet) -> Int32? {
        let line = Int(flows[Int(packet.flow)].peer)
        let blocks = HeldPackets.blocks(for: bytes.byteCount)
        guard lines[line].blocks + blocks <= held.available - blocks else {
            lines[line].overflow += 1
            return nil
        }
        lines[line].blocks += blocks
        lines[line].packets += 1
        lines[line].bytes += bytes.byteCount
        lines[line].held += 1
        return held.append(bytes, packet)
    }

    // MARK: Flows

    /// Makes all that waits of a flow ready, and forgets it, at the latest when that is gone.
    private mutating func forget(_ name: UInt64) {
        guard let index = flows.find(name) else { return }
        restart(index, at: 0)
        flows[index].isKnown = false
        if flows[index].ready == 0 { flows.forget(index) }
    }

    /// Makes all that waits of a flow ready, and says what comes next.
    private mutating func restart(_ index: Int, at next: UInt32) {
        while !flows[index].waiting.isEmpty { makeReady(flows.removeFirst(of: index, &held)) }
        releaseAgain(index, below: 0)
        flows[index].next = next
        flows[index].isKnown = true
    }

    /// Makes ready what TCP sent again, if nothing waits any more that was sent before it.
    private mutating func releaseAgain(_ index: Int, below missing: UInt64) {
        while !flows[index].again.isEmpty,
            flows[index].waiting.isEmpty || held[flows[index].again.head].counter < missing
        { makeReady(flows.removeFirstAgain(of: index, &held)) }
    }

    /// The next of a flow is what follows `end`: makes ready what doesn't wait for anything then.
    private mutating func proceed(_ index: Int, to end: UInt32) {
        var next = end
        while !flows[index].waiting.isEmpty {
            let first = held[flows[index].waiting.head]
            guard Int32(bitPattern: first.sequence &- next) <= 0 else { break }
            if Int32(bitPattern: first.end &- next) > 0 { next = first.end }
            makeReady(flows.removeFirst(of: index, &held))
        }
        releaseAgain(index, below: 0)
        flows[index].next = next
        flows[index].isKnown = true
    }

    /// Makes ready what waits of a flow up to a packet, and what need not wait then.
    private mutating func release(_ index: Int, through last: Int32) {
        let end = held[last].end
        var place: Int32
        repeat {
            place = flows.removeFirst(of: index, &held)
            makeReady(place)
        } while place != last
        proceed(index, to: end)
    }

    // MARK: What was missing

    /// What was missing of a peer's datagrams below a counter has come, or is given up (`nil`: all that was): makes ready what waited for
    /// that.
    mutating func release(_ peer: PeerSlot, below missing: UInt64?) {
        guard peer.offset < lines.count else { return }
        var number = flows.first(of: peer)
        while number >= 0 {
            let index = Int(number)
            number = flows[index].after
            // Sequence numbers come before counters: all before the last one that need not wait goes too.
            var last: Int32 = -1
            var place = flows[index].waiting.head
            while place >= 0 {
                if held[place].counter < missing ?? .max {
                    last = place
                } else if !flows[index].isMixed {
                    break
                }
                place = held[place].next
            }
            if last >= 0 { release(index, through: last) }
            releaseAgain(index, below: missing ?? .max)
        }
    }

    /// When `expire` is due; `nil` if nothing waits.
    var nextExpiry: Instant? { held.oldest < 0 ? nil : held[held.oldest].heldAt + Self.longest }

    /// Makes ready what has waited for too long.
    mutating func expire(at now: Instant) {
        while let due = nextExpiry, due <= now {
            let index = Int(held[held.oldest].flow)
            guard held[held.oldest].isAgain else {
                release(index, through: held.oldest)
                continue
            }
            makeReady(flows.removeFirstAgain(of: index, &held))
        }
    }

    // MARK: Removal

    /// Drops all that is held of a peer, and forgets its flows; how many packets that were.
    mutating func removeAll(of peer: PeerSlot) -> Int {
        guard peer.offset < lines.count else { return 0 }
        release(peer, below: nil)
        let count = lines[peer.offset].packets
        while !lines[peer.offset].ready.isEmpty { removeFirstReady(of: peer) }
        flows.forgetAll(of: peer)
        return count
    }

    /// The same, for a peer that is gone: forgets what was counted, too.
    mutating func forget(_ peer: PeerSlot) -> Int {
        let count = removeAll(of: peer)
        guard peer.offset < lines.count else { return 0 }
        lines[peer.offset].held = 0
        lines[peer.offset].overflow = 0
        lines[peer.offset].delays = DelayHistogram()
        return count
    }

    /// Gives back the memory for packets if none is held.
    mutating func trim() { held.trim() }

    // MARK: What was seen

    /// Bytes that are allocated for packets.
    var allocated: Int { held.allocated }

    /// What is held of a peer, and how that went.
    func statistics(of peer: PeerSlot, at now: Instant) -> ReorderStatistics {
        let line = peer.offset < lines.count ? lines[peer.offset] : Line()
        return ReorderStatistics(
            packets: line.packets, bytes: line.bytes, held: line.held, overflow: line.overflow,
            median: line.delays.percentile(50, at: now), percentile99: line.delays.percentile(99, at: now))
    }
}

/// Packets of a peer that wait, or have waited, for what was lost before them.
public struct ReorderStatistics: Equatable, Sendable {
    /// Those that are held now.
    public let packets: Int
    public let bytes: Int
    /// All that ever were, and those for which there was no room.
    public let held: UInt64
    public let overflow: UInt64
    /// How long half of those of the last seconds were held at most, and how long 99 of a hundred.
    public let median: Interval
    public let percentile99: Interval
}
