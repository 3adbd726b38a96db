/// One frame of a capture.
public struct CapturedFrame: Sendable, Hashable {
    /// Nanoseconds since 1970; `nil` if the capture has no time for it.
    public let time: Int64?
    public let link: LinkType
    /// What was captured of it.
    public let bytes: [UInt8]
    /// How long it was on its way.
    public let originalLength: Int

    /// The capture's snapshot length cut it.
    public var isCut: Bool { bytes.count < originalLength }
}

/// Reads the frames of a capture one after the other: pcap and pcapng in either byte order. Of a file of any size it holds
/// one chunk and one frame.
public struct CaptureReader {
    /// The longest frame. libpcap's own bound is a quarter of it.
    public static let longestFrame = 1 << 20

    private enum Format {
        case pcap(Pcap)
        case pcapng(Pcapng)
    }

    private var stream: ByteStream
    private var format: Format

    /// The capture ended inside a frame, or inside what tells of it.
    public var isTruncated: Bool { stream.isShort }

    /// Reads the beginning of a file; `-` is standard input.
    public init(path: String) throws(CaptureFailure) {
        let file = try CaptureFile(path)
        try self.init { () throws(CaptureFailure) in try file.read() }
    }

    /// - Parameter more: gives the next bytes of the capture, as many as it likes; none at the end.
    public init(_ more: @escaping () throws(CaptureFailure) -> [UInt8]) throws(CaptureFailure) {
        stream = ByteStream(more)
        guard let magic = try stream.read(4) else { throw .malformed(at: 0, "it is too short for a capture") }
        if Pcapng.begins(with: magic) {
            guard let pcapng = try Pcapng(&stream) else { throw Self.short(stream) }
            format = .pcapng(pcapng)
        } else {
            guard let variant = Pcap.Variant(magic) else { throw .malformed(at: 0, "it is neither pcap nor pcapng") }
            guard let pcap = try Pcap(variant, &stream) else { throw Self.short(stream) }
            format = .pcap(pcap)
        }
    }

    /// The next frame; `nil` at the end.
    public mutating func next() throws(CaptureFailure) -> CapturedFrame? {
        switch format {
        case .pcap(let pcap): return try pcap.next(&stream)
        case .pcapng(var pcapng):
            let frame = try pcapng.next(&stream)
            format = .pcapng(pcapng)
            return frame
        }
    }

    private static func short(_ stream: ByteStream) -> CaptureFailure {
        .malformed(at: stream.offset, "it ends in its first header")
    }
}
