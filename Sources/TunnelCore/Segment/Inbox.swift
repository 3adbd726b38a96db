import BasicContainers

/// Packets on their way to the device, as lists of pieces that are written together: no packet is copied.
///
/// A piece borrows the buffer that its datagram was received into, or the inbox's own memory if it was decoded. The
/// edge writes all frames and calls `clear()` before it receives into that buffer again; before it hands in another
/// datagram, it sees to it that `hasRoom`.
public struct Inbox: ~Copyable {
    /// Memory to write from; laid out as `struct iovec`.
    @safe public struct Piece: BitwiseCopyable {
        public let base: UnsafeRawPointer
        public let count: Int
    }

    /// What one `writev` to the device takes: a virtio header, then a packet.
    public struct Frame: Sendable {
        public let pieces: Range<Int>
        /// The bytes behind the virtio header.
        public let length: Int
    }

    private static let frameCapacity = 1024
    private static let decodedCapacity = 512 * 1024
    static let virtioHeaderSize = 10

    private var list = RigidArray<Frame>(capacity: frameCapacity)
    private var pieceList = RigidArray<Piece>(capacity: frameCapacity * 2)
    private var decoded = Arena(capacity: decodedCapacity)
    private var used = Inbox.virtioHeaderSize

    init() {
        // A header of zeros: no offload asked for.
        var header = decoded[0..<Self.virtioHeaderSize]
        header.zero(0..<Self.virtioHeaderSize)
    }

    /// How many frames there are.
    public var count: Int { list.count }
    public subscript(index: Int) -> Frame { list[index] }
    /// The pieces of all frames.
    public var pieces: Span<Piece> { @_lifetime(borrow self) get { pieceList.span } }

    /// Whether any one datagram can be handled without losing a packet.
    public var hasRoom: Bool {
        Self.decodedCapacity - used >= Limits.unit && list.count + Limits.recordPackets <= Self.frameCapacity
    }

    /// The bytes of a frame behind the virtio header.
    public func bytes(of frame: Frame) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in frame.pieces.dropFirst() {
            let piece = pieceList[index]
            unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(start: piece.base, count: piece.count))
        }
        return bytes
    }

    public mutating func clear() {
        list.removeAll()
        pieceList.removeAll()
        used = Self.virtioHeaderSize
    }

    /// Adds a packet, which must stay where it is until `clear()`; false if there is no room.
    @inline(__always)
    mutating func append(_ packet: RawSpan) -> Bool {
        unsafe packet.withUnsafeBytes { unsafe append($0) }
    }

    /// Adds a decoded packet; false if there is no room.
    mutating func append(decoded range: Range<Int>) -> Bool {
        unsafe append(UnsafeRawBufferPointer(start: decoded.pointer(at: range.lowerBound), count: range.count))
    }

    @inline(__always)
    private mutating func append(_ packet: UnsafeRawBufferPointer) -> Bool {
        guard list.count < Self.frameCapacity, let base = packet.baseAddress else { return false }
        let first = pieceList.count
        unsafe pieceList.append(Piece(base: decoded.pointer(at: 0), count: Self.virtioHeaderSize))
        unsafe pieceList.append(Piece(base: base, count: packet.count))
        list.append(Frame(pieces: first..<pieceList.count, length: packet.count))
        return true
    }

    /// Lends `size` bytes, which must not be more than `hasRoom` promises, to `write`; the bytes that it says it used
    /// stay until `clear()`. `nil` if it says that there are none.
    mutating func decode(_ size: Int, _ write: (inout MutableRawSpan) -> Int?) -> Range<Int>? {
        guard size <= Self.decodedCapacity - used else { return nil }
        var space = decoded[used..<used + size]
        guard let length = write(&space) else { return nil }
        let range = used..<used + length
        used += length
        return range
    }

    /// Decoded bytes, for as long as nothing else is done with the inbox.
    subscript(decoded range: Range<Int>) -> MutableRawSpan {
        @_lifetime(&self) mutating get { decoded[range] }
    }
}
