/// The flows that pass, and what is known of each: whether the rules let them be compressed, how well that works, and for those
/// that do not compress how long to leave them alone, by exponential back-off as in RFC 3173 §2.2.
///
/// A fixed table that is indexed by a hash of the flow; two flows that meet in one entry take turns in it. Nothing in it
/// ever grows.
struct FlowTable: ~Copyable {
    /// A flow's entry, until another flow takes it.
    struct Flow: Equatable {
        fileprivate let entry: Int
        /// The flow's hash.
        let hash: UInt64
    }

    /// The verdict of the rules and of the flow's first bytes.
    enum Verdict: UInt8 {
        /// Nobody has looked yet.
        case unknown
        /// The rules allow it; no payload was seen so far.
        case unseen
        case open
        case encrypted
        case exposed
    }

    private struct Entry {
        var flow: UInt32 = 0
        /// Packets that pass untried.
        var skip: UInt16 = 0
        /// The bytes of what failed last, divided by 64.
        var failed: UInt16 = 0
        /// The part of its bytes that coding leaves, lately, in 65,536ths; 0 if that was never tried.
        var fraction: UInt16 = 0
        /// What was coded of it, in KB.
        var volume: UInt16 = 0
        var verdict = Verdict.unknown
        /// It is skipped because to code it is not worth it now.
        var isPaused = false
        /// How many to skip after the next failure, as a power of two.
        var backoff: UInt8 = 0
        /// Small packets of it, as far as they are counted.
        var messages: UInt8 = 0
    }

    private static let size = 4096
    /// At most every 512th packet of a hopeless flow is tried.
    private static let longestBackoff: UInt8 = 9
    /// The back-off, from the start, of a flow that announces itself as compressed.
    private static let compressedBackoff: UInt8 = 6

    private var entries = ContiguousArray(repeating: Entry(), count: size)
    private let hash: KeyedHash

    init(seed: UInt64 = 0) { hash = KeyedHash(seed: seed) }

    /// Forgets all flows: the rules have changed.
    mutating func removeAll() {
        for index in entries.indices { entries[index] = Entry() }
    }

    /// The entry for a packet's flow: the peer that it goes to, addresses, protocol and, where they can be seen, ports.
    @inline(__always)
    mutating func find(_ packet: RawSpan, _ header: InternetPacket, to peer: PeerSlot = PeerSlot(0)) -> Flow {
        find(hash.flow(of: packet, header, with: peer))
    }

    /// The entry for the flow of the packet in a frame. Anybody may write another's IP addresses, so it belongs to the flow
    /// also between which stations it goes: what `stations` says of the frame.
    mutating func find(_ packet: RawSpan, _ header: InternetPacket, between stations: UInt64, to peer: PeerSlot) -> Flow
    {
        find(hash.fold(hash.flow(of: packet, header, with: peer), stations, round: 2))
    }

    /// A hash of the Ethernet addresses of a frame, its VLANs, and the number of the place that it came from.
    func stations(_ frame: RawSpan, _ header: EthernetFrame, from ingress: Int32) -> UInt64 {
        let stations = hash.fold(
            frame.little64(at: 0), UInt64(frame.little32(at: 8)) | UInt64(header.vlans(frame)) << 32, round: 0)
        return hash.fold(stations, UInt64(UInt32(bitPattern: ingress)), round: 1)
    }

    /// The entry for a frame's addresses. What follows them may be a type or a length.
    mutating func find(ethernet frame: RawSpan) -> Flow {
        find(hash.fold(frame.little64(at: 0), UInt64(frame.little32(at: 8)), round: 0))
    }

    @inline(__always)
    mutating func find(_ hash: UInt64) -> Flow {
        let index = Int(truncatingIfNeeded: hash) & (Self.size - 1)
        let flow = UInt32(truncatingIfNeeded: hash >> 32)
        if entries[index].flow != flow { entries[index] = Entry(flow: flow) }
        return Flow(entry: index, hash: hash)
    }

    /// The verdict about a flow.
    subscript(flow: Flow) -> Verdict {
        @inline(__always) get { entries[flow.entry].verdict }
        set { entries[flow.entry].verdict = newValue }
    }

    /// Whether a packet of the flow, with or without payload, can bring the verdict further.
    @inline(__always)
    func isPending(_ flow: Flow, hasPayload: Bool) -> Bool {
        let verdict = entries[flow.entry].verdict
        return verdict == .unknown || verdict == .unseen && hasPayload
    }

    /// Whether the rules, or the flow's first bytes, have said that it is never coded.
    @inline(__always)
    func isSettled(_ flow: Flow) -> Bool {
        entries[flow.entry].verdict == .encrypted || entries[flow.entry].verdict == .exposed
    }

    /// Lets a packet of the flow pass untried if that is known without a closer look, and says why; `nil` if it may be tried.
    @inline(__always)
    mutating func passUntried(_ flow: Flow, size: Int) -> CompressionSkip? {
        switch entries[flow.entry].verdict {
        case .encrypted: return .encrypted
        case .exposed: return .exposed
        case .unknown, .unseen: return nil
        case .open:
            if takeTurn(flow, size: size) { return nil }
            return entries[flow.entry].isPaused ? .busy : .backoff
        }
    }

    /// Takes the turn of the flow's next packet: true if it is to be tried, else it is one of those that the back-off lets pass.
    /// A packet much larger than the one that failed may be tried at any time.
    @inline(__always)
    mutating func takeTurn(_ flow: Flow, size: Int) -> Bool {
        guard entries[flow.entry].skip > 0, size >> 7 <= entries[flow.entry].failed else { return true }
        entries[flow.entry].skip -= 1
        return false
    }

    /// Whether the flow has not compressed lately, or was never tried: a look at the bytes is cheaper than a try.
    @inline(__always)
    func isDoubtful(_ flow: Flow) -> Bool { entries[flow.entry].fraction == 0 || entries[flow.entry].backoff > 0 }

    /// The part of the flow's bytes that coding leaves, between 0 and 1.
    func fraction(_ flow: Flow) -> Double {
        let fraction = entries[flow.entry].fraction
        return fraction == 0 ? 0.5 : Double(fraction) / 65_536
    }

    /// Whether the entry is still the flow's.
    private func isCurrent(_ flow: Flow) -> Bool {
        entries[flow.entry].flow == UInt32(truncatingIfNeeded: flow.hash >> 32)
    }

    /// Notes that `plain` bytes became `coded` ones.
    mutating func noteCoded(_ plain: Int, to coded: Int, on flow: Flow) {
        guard isCurrent(flow) else { return }
        let new = UInt16(clamping: max(coded * 65_536 / max(plain, 1), 1))
        let old = entries[flow.entry].fraction
        entries[flow.entry].fraction = old == 0 ? new : UInt16((UInt32(old) * 3 + UInt32(new)) / 4)
        entries[flow.entry].backoff = 0
        let volume = UInt32(entries[flow.entry].volume) + UInt32(clamping: (plain + 512) >> 10)
        entries[flow.entry].volume = UInt16(clamping: volume)
    }

    /// What was coded of a flow, in bytes, as far as that is known.
    func volume(_ flow: Flow) -> Int { isCurrent(flow) ? Int(entries[flow.entry].volume) << 10 : 0 }

    /// Counts a small packet; how many there were, 255 at most.
    mutating func noteMessage(_ flow: Flow) -> Int {
        guard isCurrent(flow) else { return 0 }
        entries[flow.entry].messages = max(entries[flow.entry].messages, entries[flow.entry].messages &+ 1)
        return Int(entries[flow.entry].messages)
    }

    /// The name of all that goes from one address to another through a peer, and of all that goes through it.
    func hosts(
        _ packet: RawSpan, _ header: InternetPacket, between stations: UInt64, to peer: PeerSlot
    ) -> UInt64 {
        let name = hash.hosts(of: packet, header, with: peer)
        return stations == 0 ? name : hash.fold(name, stations, round: 0)
    }

    func all(to peer: PeerSlot) -> UInt64 { hash.fold(UInt64(UInt32(bitPattern: peer.number)), .max, round: 2) }

    /// Notes that to try `size` bytes brought nothing.
    mutating func noteFailure(on flow: Flow, size: Int) {
        guard isCurrent(flow) else { return }
        entries[flow.entry].isPaused = false
        entries[flow.entry].failed = UInt16(clamping: max(size >> 6, 1))
        let backoff = entries[flow.entry].backoff
        entries[flow.entry].skip = 1 << UInt16(backoff)
        entries[flow.entry].backoff = min(backoff + 1, Self.longestBackoff)
    }

    /// Notes that to code `size` bytes of the flow is not worth it at the moment: the next packets need not ask, unless they
    /// are much larger.
    mutating func pause(_ flow: Flow, size: Int) {
        entries[flow.entry].isPaused = true
        entries[flow.entry].failed = UInt16(clamping: max(size >> 6, 1))
        entries[flow.entry].skip = 15
    }

    /// Notes that the flow's bytes call themselves compressed, whatever their size.
    mutating func noteCompressed(_ flow: Flow) {
        entries[flow.entry].backoff = max(entries[flow.entry].backoff, Self.compressedBackoff)
        noteFailure(on: flow, size: Limits.unit)
    }
}
