/// The header before the packet in every read and write of the device: `struct virtio_net_hdr` (virtio 1.2 §5.1.6), 10 bytes
/// in the machine's order. It says which work on the packet the kernel left to us, or we leave to the kernel.
struct VirtioHeader {
    static let size = 10

    /// How a packet is to be cut.
    enum Kind: UInt8 {
        case none = 0
        case tcp4 = 1
        case tcp6 = 4
        case udp = 5
    }

    private static let needsChecksumFlag: UInt8 = 1

    /// The transport checksum is that of the pseudo-header alone; the rest is to be added.
    var needsChecksum = false
    var kind = Kind.none
    /// The bytes of headers before the payload. The kernel's word for it is not relied on.
    var headerLength: UInt16 = 0
    /// The payload of each packet that it is to be cut into, but the last.
    var segment: UInt16 = 0
    /// Where the checksum begins, and where in what it covers it is stored.
    var checksumStart: UInt16 = 0
    var checksumOffset: UInt16 = 0

    init() {}

    /// Reads the header; `nil` if it asks for something that we never said we do.
    @inline(__always)
    init?(_ read: RawSpan) {
        guard read.byteCount >= Self.size, let kind = Kind(rawValue: read.byte(at: 1)) else { return nil }
        needsChecksum = read.byte(at: 0) & Self.needsChecksumFlag != 0
        self.kind = kind
        headerLength = read.little16(at: 2)
        segment = read.little16(at: 4)
        checksumStart = read.little16(at: 6)
        checksumOffset = read.little16(at: 8)
    }

    /// Writes the header to the start of `space`.
    func write(to space: inout MutableRawSpan) {
        space.store(needsChecksum ? Self.needsChecksumFlag : 0, at: 0)
        space.store(kind.rawValue, at: 1)
        space.store(little: headerLength, at: 2)
        space.store(little: segment, at: 4)
        space.store(little: checksumStart, at: 6)
        space.store(little: checksumOffset, at: 8)
    }
}

extension VirtioHeader {
    /// The header of the packet that stands behind `start` bytes of a frame; `nil` if the checksum would begin before it.
    func behind(_ start: Int) -> VirtioHeader? {
        guard !needsChecksum || Int(checksumStart) >= start else { return nil }
        var inner = self
        inner.checksumStart = needsChecksum ? checksumStart - UInt16(start) : 0
        inner.headerLength -= min(headerLength, UInt16(start))
        return inner
    }

    /// The header of the frame in which the packet stands behind `start` bytes.
    func ahead(of start: Int) -> VirtioHeader {
        var outer = self
        outer.checksumStart += UInt16(start)
        outer.headerLength += UInt16(start)
        return outer
    }

    /// Whether the transport header follows the IP header directly, as in a member of a record.
    func isPlain(_ header: InternetPacket) -> Bool {
        header.transport == (kind == .udp ? IPProtocol.udp : IPProtocol.tcp) && !header.isFragment
    }
}

extension PacketLayout {
    /// The virtio header of a segmented packet.
    func virtio(segment: Int) -> VirtioHeader {
        var virtio = VirtioHeader()
        virtio.needsChecksum = true
        virtio.kind = transport == .udp ? .udp : isV4 ? .tcp4 : .tcp6
        virtio.headerLength = UInt16(header)
        virtio.segment = UInt16(segment)
        virtio.checksumStart = UInt16(internet)
        virtio.checksumOffset = UInt16(transport == .udp ? UDPHeader.checksum : TCPHeader.checksum)
        return virtio
    }
}
