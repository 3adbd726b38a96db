import BasicContainers

/// Packets on their way to the device, as lists of pieces that are written together: no packet is copied.
///
///     write 0   │ virtio header │ packet 0 │ payload 1 │ payload 2 │      merged: one flow, one write
///     write 1   │ virtio header │ packet 3 │
///
/// A piece borrows the buffer that its datagram was received into, or the inbox's own memory if it was decoded. The
/// edge calls `finish()`, does all writes and calls `clear()` before it receives into that buffer again; before it
/// hands in another datagram, it sees to it that `hasRoom`.
public struct Inbox: ~Copyable {
    /// Memory to write from; laid out as `struct iovec`.
    @safe public struct Piece: BitwiseCopyable {
        public let base: UnsafeRawPointer
        public let count: Int
    }

    /// A packet or frame that was decoded into the inbox's memory: where it is, and what it stands for.
    struct Decoded {
        let place: Range<Int>
        let shape: MemberShape
    }

    /// One `writev` to the device: a virtio header, then a packet, a super-segment or an Ethernet frame.
    public struct Write: Sendable {
        public internal(set) var pieces: Range<Int>
        /// The packets that it stands for.
        public internal(set) var packets = 1
    }

    static let writeCapacity = 1024
    static let pieceCapacity = 3072
    private static let decodedCapacity = 512 * 1024
    /// The bytes that one record may need: its packets with all their headers, and those that segmented ones are cut into.
    private static let recordReserve = 2 * (Limits.unit + Limits.recordPackets * PacketLayout.longestHeader)
    private static let headerStride = 16

    var list = RigidArray<Write>(capacity: writeCapacity)
    var pieceList = RigidArray<Piece>(capacity: pieceCapacity)
    private var headers = Arena(capacity: writeCapacity * headerStride)
    var decoded = Arena(capacity: decodedCapacity)
    private var used = 0
    private var decodedList = RigidArray<Decoded>(capacity: writeCapacity)
    /// The last write, while packets may be added to it.
    var merge: Merge?

    /// Whether runs of one TCP flow, and of one UDP flow, may become one write: the edge says so if the device takes
    /// them.
    public var mergesTCP = false
    public var mergesUDP = false

    init() {}

    /// How many writes there are.
    public var count: Int { list.count }
    public subscript(index: Int) -> Write { list[index] }
    /// The pieces of all writes.
    public var pieces: Span<Piece> { @_lifetime(borrow self) get { pieceList.span } }

    /// Whether any one datagram can be handled without losing a packet.
    public var hasRoom: Bool {
        Self.decodedCapacity - used >= Self.recordReserve && list.count + Limits.recordPackets <= Self.writeCapacity
            && pieceList.count + 3 * Limits.recordPackets <= Self.pieceCapacity
            && decodedList.count + Limits.recordPackets <= Self.writeCapacity
    }

    /// The bytes of a write behind the virtio header.
    public func bytes(of write: Write) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in write.pieces.dropFirst() {
            unsafe pieceList[index].bytes.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
        }
        return bytes
    }

    /// The virtio header of a write.
    public func virtio(of write: Write) -> [UInt8] {
        unsafe pieceList[write.pieces.lowerBound].bytes.withUnsafeBytes { unsafe Array($0) }
    }

    /// Ends the write that packets are still being added to. Then all may be done.
    public mutating func finish() {
        guard let merge else { return }
        self.merge = nil
        let last = list.count - 1
        list[last].packets = merge.count
        guard merge.count > 1 else { return }
        var packet = unsafe pieceList[head(of: merge)].mutableBytes
        let virtio = merge.finish(&packet)
        var header = headers[last * Self.headerStride..<last * Self.headerStride + VirtioHeader.size]
        virtio.write(to: &header)
    }

    /// Where the last write's first packet is among the pieces, behind the virtio header and, in a frame, Ethernet's.
    func head(of merge: Merge) -> Int {
        list[list.count - 1].pieces.lowerBound + (merge.start > 0 ? 2 : 1)
    }

    public mutating func clear() {
        merge = nil
        list.removeAll()
        pieceList.removeAll()
        decodedList.removeAll()
        used = 0
    }

    /// Adds a packet, which must stay where it is until `clear()`: to the last write if it continues it, else as a write
    /// of its own. False if there is no room.
    @inline(__always)
    mutating func append(_ packet: inout MutableRawSpan, _ header: InternetPacket) -> Bool {
        guard list.count < Self.writeCapacity, pieceList.count + 2 <= Self.pieceCapacity else { return false }
        let bytes = packet.bytes
        let candidate = mergeable(header) ? MergeCandidate(bytes, header) : nil
        guard let candidate, candidate.hasRightChecksum(bytes, header) else {
            finish()
            addWrite(bytes)
            return true
        }
        if merge != nil {
            let last = list.count - 1
            let head = unsafe pieceList[list[last].pieces.lowerBound + 1].bytes
            if merge?.append(bytes, candidate, to: head) == true {
                extendWrite(by: bytes.extracting(candidate.payload..<candidate.end))
                return true
            }
            finish()
        }
        addWrite(bytes)
        merge = Merge(candidate, header)
        return true
    }

    /// Adds a decoded packet, or one that stands for several: as it is if the device takes that, else cut. False if there is
    /// no room.
    mutating func append(decoded packet: Decoded, _ header: InternetPacket) -> Bool {
        let (range, shape) = (packet.place, packet.shape)
        let piece = unsafe Piece(base: UnsafeRawPointer(decoded.pointer(at: range.lowerBound)), count: range.count)
        var packet = unsafe piece.mutableBytes
        guard shape.segment > 0 else { return append(&packet, header) }
        let virtio = shape.layout.virtio(segment: shape.segment)
        if mergeable(header), !shape.layout.hasLateFlags(packet.bytes) {
            return append(segmented: &packet, header, shape: shape, virtio: virtio)
        }
        guard var split = Split(packet.bytes, header, virtio: virtio) else { return false }
        while let next = split.nextPacket(in: &packet) {
            let whole = decode(next.count) { space in
                space.copy(packet.bytes.extracting(next), to: 0)
                return next.count
            }
            guard let whole else { return false }
            let place = unsafe Piece(base: UnsafeRawPointer(decoded.pointer(at: whole.lowerBound)), count: whole.count)
            var cut = unsafe place.mutableBytes
            guard append(&cut, header.resized(to: next.count)) else { return false }
        }
        return true
    }

    /// Gives a packet that stands for several the sums that the kernel goes on from.
    static func prepare(
        _ packet: inout MutableRawSpan, _ header: InternetPacket, _ layout: PacketLayout, _ virtio: VirtioHeader
    ) {
        if header.isV4 { packet.storeHeaderChecksum(length: layout.internet) }
        let sum = Checksum(pseudoHeaderOf: packet.bytes, header, length: header.length - layout.internet)
        packet.store(checksum: sum.folded, at: layout.internet + Int(virtio.checksumOffset))
    }

    /// Adds a packet that stands for several: to the last write if it continues it, else as a write of its own.
    private mutating func append(
        segmented packet: inout MutableRawSpan, _ header: InternetPacket, shape: MemberShape, virtio: VirtioHeader
    ) -> Bool {
        guard list.count < Self.writeCapacity, pieceList.count + 2 <= Self.pieceCapacity else { return false }
        let candidate = MergeCandidate(packet.bytes, header)
        if let candidate, merge != nil {
            let last = list.count - 1
            let head = unsafe pieceList[list[last].pieces.lowerBound + 1].bytes
            if merge?.append(segmented: packet.bytes, candidate, of: shape.segment, to: head) == true {
                extendWrite(by: packet.bytes.extracting(candidate.payload..<candidate.end))
                return true
            }
        }
        finish()
        Self.prepare(&packet, header, shape.layout, virtio)
        addWrite(packet.bytes, virtio)
        list[list.count - 1].packets = shape.packets(of: header.length)
        if let candidate { merge = Merge(candidate, header, of: shape.segment) }
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

    /// How many packets were decoded since `clear()`.
    var decodedCount: Int { decodedList.count }
    /// A decoded packet.
    func decodedPacket(_ index: Int) -> Decoded { decodedList[index] }

    /// Notes that what was decoded to `place` is a packet or frame; false if there are too many.
    mutating func note(decoded place: Range<Int>, _ shape: MemberShape) -> Bool {
        guard decodedList.count < Self.writeCapacity else { return false }
        decodedList.append(Decoded(place: place, shape: shape))
        return true
    }

    /// Decoded bytes, for as long as nothing else is done with the inbox.
    subscript(decoded range: Range<Int>) -> MutableRawSpan {
        @_lifetime(&self) mutating get { decoded[range] }
    }

    /// Decoded bytes, to read.
    @_lifetime(borrow self)
    func bytes(decoded range: Range<Int>) -> RawSpan { decoded.bytes(range) }

    @inline(__always)
    func mergeable(_ header: InternetPacket) -> Bool {
        header.transport == IPProtocol.tcp ? mergesTCP : header.transport == IPProtocol.udp && mergesUDP
    }

    @inline(__always)
    mutating func addWrite(_ packet: RawSpan, _ virtio: VirtioHeader = VirtioHeader()) {
        let first = pieceList.count
        let offset = list.count * Self.headerStride
        var header = headers[offset..<offset + VirtioHeader.size]
        virtio.write(to: &header)
        unsafe pieceList.append(Piece(base: UnsafeRawPointer(headers.pointer(at: offset)), count: VirtioHeader.size))
        addPiece(packet)
        list.append(Write(pieces: first..<first + 2))
    }

    /// Adds a piece to the last write.
    @inline(__always)
    mutating func extendWrite(by bytes: RawSpan) {
        addPiece(bytes)
        list[list.count - 1].pieces = list[list.count - 1].pieces.lowerBound..<pieceList.count
    }

    @inline(__always)
    private mutating func addPiece(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe pieceList.append(Piece(base: base, count: bytes.count))
        }
    }
}

extension Inbox.Piece {
    /// The bytes that it borrows. The compiler cannot know how long that is good: until `clear()`.
    @unsafe var bytes: RawSpan {
        @_lifetime(immortal) get {
            let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: base, count: count))
            return unsafe _overrideLifetime(bytes, copying: ())
        }
    }

    /// The bytes that it borrows, to write to: the owner of the buffer has lent it for that.
    @unsafe var mutableBytes: MutableRawSpan {
        @_lifetime(immortal) get {
            let start = unsafe UnsafeMutableRawPointer(mutating: base)
            let bytes = unsafe MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(start: start, count: count))
            return unsafe _overrideLifetime(bytes, copying: ())
        }
    }
}
