import BasicContainers

/// Cuts an Ethernet frame that stands for several into those, in place, each with the whole Ethernet header before its packet.
struct FrameSplit {
    private var split: Split
    /// The bytes of the Ethernet header, which stand before each packet.
    private let start: Int
    private let around: InlineArray<24, UInt8>

    /// `virtio` is about the packet in the frame; `nil` if it is not what that says.
    init?(_ frame: RawSpan, _ ethernet: EthernetFrame, _ header: InternetPacket, virtio: VirtioHeader) {
        let start = ethernet.payload
        guard let split = Split(frame.extracting(start...), header, virtio: virtio) else { return nil }
        self.split = split
        self.start = start
        around = InlineArray { $0 < start ? frame.byte(at: $0) : 0 }
    }

    /// The size of the largest of them.
    var largest: Int { start + split.largest }

    /// How many packets each of the parts stands for that it is cut into.
    var identifierStep: UInt16 {
        get { split.identifierStep }
        set { split.identifierStep = newValue }
    }

    /// Makes the next frame, over the end of the one before, and says where it is; `nil` after the last.
    mutating func nextFrame(in frame: inout MutableRawSpan) -> Range<Int>? {
        var packet = frame.part(start...)
        guard let range = split.nextPacket(in: &packet) else { return nil }
        // By the bytes of the whole frame.
        let place = range.lowerBound..<start + range.upperBound
        unsafe frame.copy(around.span.bytes.extracting(0..<start), to: place.lowerBound)
        return place
    }
}
