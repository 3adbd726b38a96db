/// A budget for what a peer's records are decoded to: a few bytes of a unit or bundle can stand for many, and each costs time
/// here and room behind the device. A record has so much of each kind for each of its bytes on the wire; what it costs beyond
/// that comes out of what its peer has in any case (docs/design/memory.md). Packets that come as they are cost no more than they
/// weigh, and need none of it.
///
/// What a record costs is paid when it is known, which may leave a debt: nothing is decoded until that is gone.
///
/// It also knows how much of the present turn the peer has had, so that others have theirs before it goes on
/// (`WaitingMessages`).
struct IngressBudget {
    private var bytes = Account(.bytes)
    private var packets = Account(.packets)
    private var work = Account(.work)
    /// Thread time for copies to everybody: what a site says to all others is little, comes a few frames at a time, and costs much where there
    /// are many sites.
    private var copies = Account(.copies)
    private var at = Instant.distantPast
    /// The turn that `spent` is about: all of a turn happens at one instant.
    private var turn = Instant.distantPast
    /// Nanoseconds of the turn.
    private var spent: Int64 = 0
    /// The peer has had its share of a turn, of this one or, as long as nobody has looked, of an earlier one.
    private(set) var hasHadShare = false

    /// The thread time that a peer has in each turn before the others. A unit that has begun is finished.
    private static let share = Interval(nanoseconds: 250_000)
    /// The thread time in a turn from which on no more frames are copied to everybody, were they all in one record.
    private static let copying = Interval(nanoseconds: 4_000_000)
    init() {}

    /// What was spent in earlier turns does not count in this one.
    mutating func beginTurn(at now: Instant) {
        guard turn != now else { return }
        turn = now
        spent = 0
        hasHadShare = false
    }

    /// Whether a record may be decoded, which then has what `wire` bytes of datagrams are worth. `idleAt` is when the thread had
    /// nothing to do: what it had done before then held nobody up.
    mutating func admit(wire: Int, at now: Instant, idleAt: Instant) -> Bool {
        fill(at: now, idleAt: idleAt)
        guard bytes.hasSome, packets.hasSome, work.hasSome else { return false }
        bytes.earn(wire)
        packets.earn(wire)
        work.earn(wire)
        return true
    }

    /// Whether a frame may be copied to everybody.
    mutating func admitCopies(at now: Instant, idleAt: Instant) -> Bool {
        fill(at: now, idleAt: idleAt)
        return copies.hasSome && spent < Self.copying.nanoseconds
    }

    private mutating func fill(at now: Instant, idleAt: Instant) {
        beginTurn(at: now)
        let elapsed = (now - at).nanoseconds
        if at < idleAt {
            work = Account(.work)
            copies = Account(.copies)
        }
        at = now
        bytes.fill(elapsed)
        packets.fill(elapsed)
        work.fill(elapsed)
        copies.fill(elapsed)
    }

    /// A unit or bundle of so many bytes is decoded, whatever comes of it; a byte takes so long.
    mutating func payDecoding(of count: Int, each cost: Interval) {
        payWork(Self.record + cost * Int64(count))
    }

    /// Members were decoded that stand for so many packets and bytes, in so many writes to the device.
    mutating func payDelivery(members: Int, packets: Int, bytes: Int, writes: Int) {
        self.packets.pay(Int64(packets))
        self.bytes.pay(Int64(bytes))
        payWork(
            Self.member * Int64(members) + Self.write * Int64(writes) + Self.segment * Int64(max(packets - writes, 0)))
    }

    /// A frame with so many bytes went to another peer: as many as came, so that it is no matter of its part of the turn.
    mutating func payCopy(of count: Int) {
        work.pay((Self.copy + Self.copiedByte * Int64(count)).nanoseconds)
    }

    /// Copies of a frame with so many bytes went to other peers.
    mutating func payCopies(_ number: Int, of count: Int) {
        let cost = Self.copy * Int64(number) + Self.copiedByte * Int64(number * count)
        copies.pay(cost.nanoseconds)
        noteSpent(cost)
    }

    /// A message that waited was taken, which takes time whatever was in it.
    mutating func payWaiting() {
        spent += Self.write.nanoseconds
        if spent >= Self.share.nanoseconds { hasHadShare = true }
    }

    private mutating func payWork(_ cost: Interval) {
        work.pay(cost.nanoseconds)
        noteSpent(cost)
    }

    private mutating func noteSpent(_ cost: Interval) {
        spent += cost.nanoseconds
        if spent >= Self.share.nanoseconds { hasHadShare = true }
    }

    // Costs in thread time: of a record, of a write to the device with what the system does in it, of each further packet that such a
    // write stands for, of a member until it is admitted, of a datagram to another peer and its bytes.
    private static let record = Interval(nanoseconds: 2000)
    private static let write = Interval(nanoseconds: 3000)
    private static let segment = Interval(nanoseconds: 250)
    private static let member = Interval(nanoseconds: 200)
    private static let copy = Interval(nanoseconds: 2000)
    private static let copiedByte = Interval(nanoseconds: 3)

    /// One kind of thing, counted in the time in which as much is free: an account fills by itself.
    private struct Account {
        let rate: Rate
        /// At most `rate.most`; less than nothing is a debt.
        private(set) var left: Int64

        init(_ rate: Rate) {
            self.rate = rate
            left = rate.most
        }

        var hasSome: Bool { left > 0 }

        mutating func fill(_ elapsed: Int64) { left = min(left &+ min(max(elapsed, 0), 2 * Rate.longest), rate.most) }
        /// May be more than `most` until the record that it is for has been paid.
        mutating func earn(_ wire: Int) { left = left &+ Int64(wire) &* rate.worth }
        mutating func pay(_ count: Int64) { left = max(left &- count &* rate.cost, -Rate.longest) }
    }

    /// The rate at which a kind is free, in nanoseconds.
    private struct Rate {
        /// The time in which one is.
        let cost: Int64
        /// The worth of a byte on the wire.
        let worth: Int64
        /// The most that is saved up.
        let most: Int64

        /// A larger debt is not remembered.
        static let longest: Int64 = 250_000_000

        /// 33 MB/s, and 64 for each byte on the wire: 8 MB at once.
        static let bytes = Rate(cost: 30, worth: 64 * 30, most: longest)
        /// 25,000 a second, and one for each 8 bytes: 6250 at once.
        static let packets = Rate(cost: 40_000, worth: 5_000, most: longest)
        /// A quarter of the thread, and 64 ns for each byte: 4 ms at once.
        static let work = Rate(cost: 4, worth: 4 * 64, most: 16_000_000)
        /// An eighth of the thread: 30 ms at once.
        static let copies = Rate(cost: 8, worth: 0, most: 240_000_000)
    }
}
