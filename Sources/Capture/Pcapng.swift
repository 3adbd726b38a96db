/// The format of Wireshark (draft-ietf-opsawg-pcapng): blocks, each with its length before and after it.
///
///     ┌──────┬────────┬──────────────────┬────────┐
///     │ type │ length │ body             │ length │
///     └──────┴────────┴──────────────────┴────────┘
///
/// A section header begins with new interfaces, and may change the byte order.
struct Pcapng {
    private static let interfaceBlock: UInt32 = 1
    private static let packetBlock: UInt32 = 2
    private static let simpleBlock: UInt32 = 3
    private static let enhancedBlock: UInt32 = 6
    private static let byteOrderMagic: UInt32 = 0x1a2b_3c4d
    /// Type and both lengths.
    private static let frameSize = 12
    private static let mostInterfaces = 1 << 16

    private var order = ByteOrder.little
    private var interfaces: [PcapngInterface] = []

    /// Whether these four bytes are the type of a section header, which reads the same in both byte orders.
    static func begins(with magic: [UInt8]) -> Bool { magic == [0x0a, 0x0d, 0x0d, 0x0a] }

    /// Reads the rest of the first section header; `nil` if it ends there.
    init?(_ stream: inout ByteStream) throws(CaptureFailure) {
        guard let length = try stream.read(4), try beginSection(length, &stream) else { return nil }
    }

    mutating func next(_ stream: inout ByteStream) throws(CaptureFailure) -> CapturedFrame? {
        while !(try stream.isAtEnd()) {
            let start = stream.offset
            guard let head = try stream.read(8) else { return nil }
            if Self.begins(with: Array(head[..<4])) {
                guard try beginSection(Array(head[4...]), &stream) else { return nil }
                continue
            }
            let length = Int(order.word(head, at: 4))
            try Self.check(length, least: Self.frameSize, at: start)
            var body = BlockBody(length - Self.frameSize, start)
            var frame: CapturedFrame?
            switch order.word(head, at: 0) {
            case Self.interfaceBlock: try addInterface(&body, &stream)
            case Self.enhancedBlock: frame = try packet(&body, &stream, isEnhanced: true)
            case Self.packetBlock: frame = try packet(&body, &stream, isEnhanced: false)
            case Self.simpleBlock: frame = try simplePacket(&body, &stream)
            default: break
            }
            guard try end(length, start, body, &stream) else { return nil }
            if let frame { return frame }
        }
        return nil
    }
}

extension Pcapng {
    /// Reads a section header behind its type and `lengthField`; false if the file ends there.
    private mutating func beginSection(
        _ lengthField: [UInt8], _ stream: inout ByteStream
    ) throws(CaptureFailure) -> Bool {
        let start = stream.offset - 8
        guard let magic = try stream.read(4) else { return false }
        if ByteOrder.little.word(magic, at: 0) == Self.byteOrderMagic {
            order = .little
        } else if ByteOrder.big.word(magic, at: 0) == Self.byteOrderMagic {
            order = .big
        } else {
            throw .malformed(at: start, "a section header has no byte order")
        }
        let length = Int(order.word(lengthField, at: 0))
        try Self.check(length, least: 28, at: start)
        guard let version = try stream.read(4) else { return false }
        guard order.half(version, at: 0) == 1 else {
            throw .malformed(at: start, "a section of version \(order.half(version, at: 0)), not 1")
        }
        interfaces = []
        return try end(length, start, BlockBody(length - Self.frameSize - 8, start), &stream)
    }

    private mutating func addInterface(_ body: inout BlockBody, _ stream: inout ByteStream) throws(CaptureFailure) {
        guard let interface = try PcapngInterface(&body, order, &stream) else { return }
        guard interfaces.count < Self.mostInterfaces else { throw body.malformed("too many interfaces") }
        interfaces.append(interface)
    }

    /// An enhanced packet block, or the packet block that it replaced.
    private func packet(
        _ body: inout BlockBody, _ stream: inout ByteStream, isEnhanced: Bool
    ) throws(CaptureFailure) -> CapturedFrame? {
        guard let header = try body.read(20, &stream) else { return nil }
        let number = isEnhanced ? Int(order.word(header, at: 0)) : Int(order.half(header, at: 0))
        guard number < interfaces.count else {
            throw body.malformed("a frame of interface \(number), which isn't there")
        }
        let ticks = UInt64(order.word(header, at: 4)) << 32 | UInt64(order.word(header, at: 8))
        let captured = Int(order.word(header, at: 12))
        guard let bytes = try frame(captured, &body, &stream) else { return nil }
        return CapturedFrame(
            time: interfaces[number].time(ticks), link: interfaces[number].link, bytes: bytes,
            originalLength: max(captured, Int(order.word(header, at: 16))))
    }

    private func simplePacket(
        _ body: inout BlockBody, _ stream: inout ByteStream
    ) throws(CaptureFailure) -> CapturedFrame? {
        guard let header = try body.read(4, &stream) else { return nil }
        guard let interface = interfaces.first else { throw body.malformed("a frame before any interface") }
        let original = Int(order.word(header, at: 0))
        let captured = interface.snapshotLength > 0 ? min(original, interface.snapshotLength) : original
        guard let bytes = try frame(captured, &body, &stream) else { return nil }
        return CapturedFrame(time: nil, link: interface.link, bytes: bytes, originalLength: original)
    }

    private func frame(
        _ length: Int, _ body: inout BlockBody, _ stream: inout ByteStream
    ) throws(CaptureFailure) -> [UInt8]? {
        guard length <= CaptureReader.longestFrame else {
            throw body.malformed("a frame of \(length) bytes is longer than any")
        }
        return try body.read(length, &stream)
    }

    /// Goes over what is left of a block, and compares the length behind it; false if the file ends there.
    private func end(
        _ length: Int, _ start: UInt64, _ body: BlockBody, _ stream: inout ByteStream
    ) throws(CaptureFailure) -> Bool {
        guard try stream.skip(body.left), let again = try stream.read(4) else { return false }
        guard Int(order.word(again, at: 0)) == length else {
            throw .malformed(at: start, "a block whose two lengths differ")
        }
        return true
    }

    private static func check(_ length: Int, least: Int, at start: UInt64) throws(CaptureFailure) {
        guard length >= least, length % 4 == 0 else {
            throw .malformed(at: start, "a block of \(length) bytes")
        }
    }
}

/// How much of a block's body is still to be read.
struct BlockBody {
    private(set) var left: Int
    private let start: UInt64

    init(_ size: Int, _ start: UInt64) {
        left = size
        self.start = start
    }

    /// The next `count` bytes; `nil` if the file ends there.
    mutating func read(_ count: Int, _ stream: inout ByteStream) throws(CaptureFailure) -> [UInt8]? {
        guard count <= left else { throw malformed("a block that is too short for what it holds") }
        left -= count
        return try stream.read(count)
    }

    mutating func skip(_ count: Int, _ stream: inout ByteStream) throws(CaptureFailure) -> Bool {
        guard count <= left else { throw malformed("a block that is too short for what it holds") }
        left -= count
        return try stream.skip(count)
    }

    func malformed(_ reason: String) -> CaptureFailure { .malformed(at: start, reason) }
}
