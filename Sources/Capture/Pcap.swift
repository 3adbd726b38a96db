/// The format of libpcap (draft-ietf-opsawg-pcap): a header of 24 bytes, then 16 bytes before each frame.
struct Pcap {
    /// What the magic number tells.
    struct Variant {
        let order: ByteOrder
        /// Nanoseconds of one step of the second timestamp field.
        let step: Int64

        /// `nil` if it is another file.
        init?(_ magic: [UInt8]) {
            for order in [ByteOrder.little, .big] {
                switch order.word(magic, at: 0) {
                case 0xa1b2_c3d4: (self.order, step) = (order, 1000)
                case 0xa1b2_3c4d: (self.order, step) = (order, 1)
                default: continue
                }
                return
            }
            return nil
        }
    }

    private let variant: Variant
    private let link: LinkType

    /// Reads what follows the magic number; `nil` if it ends there.
    init?(_ variant: Variant, _ stream: inout ByteStream) throws(CaptureFailure) {
        guard let header = try stream.read(20) else { return nil }
        let version = variant.order.half(header, at: 0)
        guard version == 2 else { throw .malformed(at: 4, "its version is \(version), not 2") }
        self.variant = variant
        // The upper half tells of checksums behind the frames, which the length of an IP packet leaves out.
        link = LinkType(rawValue: UInt16(truncatingIfNeeded: variant.order.word(header, at: 16)))
    }

    func next(_ stream: inout ByteStream) throws(CaptureFailure) -> CapturedFrame? {
        let start = stream.offset
        guard !(try stream.isAtEnd()), let header = try stream.read(16) else { return nil }
        let order = variant.order
        let captured = Int(order.word(header, at: 8))
        guard captured <= CaptureReader.longestFrame else {
            throw .malformed(at: start, "a frame of \(captured) bytes is longer than any")
        }
        guard let bytes = try stream.read(captured) else { return nil }
        let time = Int64(order.word(header, at: 0)) * 1_000_000_000 + Int64(order.word(header, at: 4)) * variant.step
        return CapturedFrame(
            time: time, link: link, bytes: bytes, originalLength: max(captured, Int(order.word(header, at: 12))))
    }
}
