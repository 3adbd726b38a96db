import BasicContainers

/// Datagrams on their way out, in one block of memory: runs of equal ones for one path stand one behind the other, as
/// UDP_SEGMENT wants them, each run to be sent with one system call.
///
///     │ run 0: 1452 1452 1452 600 │ run 1: 148 │ run 2: 1452 1452 …
///
/// The edge sends all runs and calls `clear()`; before it hands in more, it sees to it that `hasRoom`.
public struct Outbox: ~Copyable {
    public struct Run: Sendable {
        public let path: Path
        /// The traffic class of the outer header.
        public let trafficClass: UInt8
        /// The peer it goes to; `nil`: none that is known.
        public let peer: PeerSlot?
        /// Where its bytes start, and how many there are.
        public let offset: Int
        public fileprivate(set) var length: Int
        /// The size of every datagram in it but the last, which may be smaller.
        public let segment: Int
        public fileprivate(set) var count: Int
        fileprivate var isClosed: Bool
        /// Whether routers may cut its datagrams.
        public let division: Division
    }

    /// Whether a datagram may be cut into fragments on the way (DF).
    public enum Division: Sendable {
        case allowed
        /// Not unless our own interface has to.
        case avoided
        /// It is rather lost.
        case forbidden
    }

    /// The bytes that the output of one input may need: a super-segment of the device cut into its smallest pieces, all staged
    /// packets of a peer, or all that is gathered.
    static let reserve = 640 * 1024
    /// The reserve, and four super-segments: what is sent at once, so that the first does not wait for many more.
    private static let capacity = reserve + 256 * 1024
    /// Runs that there may be: what is for everybody takes one for each peer.
    public static let mostRuns = 2048
    /// With more than these no other input is asked for.
    private static let manyRuns = 256
    /// UDP_MAX_SEGMENTS of older kernels.
    private static let runSegments = 64

    /// Datagrams that were ever added, and their bytes.
    struct Appended {
        fileprivate(set) var datagrams: UInt64 = 0
        fileprivate(set) var bytes: UInt64 = 0
    }

    private(set) var appended = Appended()
    private var arena = Arena(capacity: capacity)
    private var used = 0
    private var list = RigidArray<Run>(capacity: mostRuns)

    init() {}

    /// How many runs there are.
    public var count: Int { list.count }
    public subscript(index: Int) -> Run { list[index] }

    /// Whether any one input can be handled without losing output.
    public var hasRoom: Bool { Self.capacity - used >= Self.reserve && list.count <= Self.manyRuns }

    /// Whether there is room for so many bytes of datagrams to one destination.
    func takes(_ size: Int) -> Bool { size <= Self.capacity - used && list.count <= Self.mostRuns - 4 }

    /// Where the bytes of the runs are, good until `clear()`.
    @unsafe public var base: UnsafeRawPointer { unsafe UnsafeRawPointer(arena.pointer(at: 0)) }

    /// The bytes of a run.
    public func bytes(of run: Run) -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: arena.pointer(at: run.offset), count: run.length))
    }

    public mutating func clear() {
        used = 0
        list.removeAll()
    }

    /// The state of an outbox, to go back to.
    struct Mark {
        let appended: Appended
        /// Bytes that were in use, and the run in which the next datagram may stand.
        let used: Int
        let run: Int
        fileprivate let count: Int
        fileprivate let last: Run?
    }

    /// What there is now.
    var mark: Mark {
        Mark(
            appended: appended, used: used, run: max(list.count - 1, 0), count: list.count,
            last: list.count > 0 ? list[list.count - 1] : nil)
    }

    /// The size of the largest datagram of the runs since a mark.
    func largest(since mark: Mark) -> Int {
        var largest = 0
        for index in mark.run..<list.count { largest = max(largest, list[index].segment) }
        return largest
    }

    /// Bytes of a datagram, by their offsets.
    @_lifetime(borrow self)
    func bytes(_ range: Range<Int>) -> RawSpan { arena.bytes(range) }

    /// Takes back what was added since a mark.
    mutating func truncate(to mark: Mark) {
        while list.count > mark.count { list.removeLast() }
        if let last = mark.last { list[mark.count - 1] = last }
        used = mark.used
        appended = mark.appended
    }

    /// Lends `size` bytes to `write`, which says how many of them it used; those are the next datagram to `destination`.
    /// 0 if `write` used none, or if there is no room.
    @inline(__always)
    mutating func append(
        _ size: Int, to destination: Destination, trafficClass: UInt8, _ write: (inout MutableRawSpan) -> Int
    ) -> Int {
        guard size <= Self.capacity - used, list.count < Self.mostRuns else { return 0 }
        var space = arena[used..<used + size]
        let length = write(&space)
        guard length > 0 else { return 0 }
        note(length, to: destination, trafficClass: trafficClass)
        return length
    }

    /// Adds a datagram of `length` bytes that was sealed before; its size, or 0 if there is no room.
    @unsafe
    mutating func append(
        sealed bytes: UnsafeRawPointer, length: Int, to destination: Destination, trafficClass: UInt8
    ) -> Int {
        guard length > 0, length <= Self.capacity - used, list.count < Self.mostRuns else { return 0 }
        var space = arena[used..<used + length]
        unsafe space.copy(bytes, count: length, to: 0)
        note(length, to: destination, trafficClass: trafficClass)
        return length
    }

    @inline(__always)
    private mutating func note(_ length: Int, to destination: Destination, trafficClass: UInt8) {
        let whole = destination.limit.whole
        let division: Division = length > whole ? .allowed : whole == .max ? .forbidden : .avoided
        if !extendLastRun(by: length, destination.path, trafficClass, division) {
            list.append(
                Run(
                    path: destination.path, trafficClass: trafficClass, peer: destination.peer, offset: used,
                    length: length, segment: length, count: 1, isClosed: false, division: division))
        }
        used += length
        appended.datagrams &+= 1
        appended.bytes &+= UInt64(length)
    }

    @inline(__always)
    private mutating func extendLastRun(
        by length: Int, _ path: Path, _ trafficClass: UInt8, _ division: Division
    ) -> Bool {
        // Of a run that is too large for the path all is lost, also what is not: a probe goes alone.
        guard list.count > 0, division != .forbidden else { return false }
        let last = list.count - 1
        let run = list[last]
        guard !run.isClosed, length <= run.segment, run.count < Self.runSegments,
            run.length + length <= Limits.datagram, run.trafficClass == trafficClass, run.division == division,
            run.path == path
        else { return false }
        list[last].length += length
        list[last].count += 1
        list[last].isClosed = length < run.segment
        return true
    }
}
