/// The cargo of a tunnel: packets or frames, and so what stands in its records (docs/protocol.md §3.3 and §3.8).
enum Cargo {
    /// IP packets, as WireGuard does.
    case packets
    /// Ethernet frames.
    case frames

    /// The kinds of record that an end takes.
    var records: RecordSet {
        switch self {
        case .packets: .packets
        case .frames: .frames
        }
    }

    /// The parameter of a BUNDLE.
    var bundleParameter: UInt8 {
        switch self {
        case .packets: 0
        case .frames: 1
        }
    }

    /// The layout of a UNIT of so many packets.
    func layout(ofUnitOf packets: Int) -> UnitRecord.Layout {
        switch self {
        case .packets: packets == 1 ? .packet : .members
        case .frames: .frames
        }
    }

    /// Whether a UNIT of a layout may come.
    func takes(_ layout: UnitRecord.Layout) -> Bool { (layout == .frames) == (self == .frames) }

    /// The largest payload of a datagram.
    @inline(__always)
    func largestPayload(_ sizes: PayloadSizes) -> Int { self == .frames ? sizes.framePayload : sizes.mtu }

    /// The bytes that `length` bytes, or all the packets that they stand for, take on the wire when each goes alone.
    func wireSize(_ length: Int, _ shape: MemberShape, within sizes: PayloadSizes) -> Int {
        func alone(_ length: Int) -> Int {
            Transport.wireSize(Transport.paddedSize(length, mtu: largestPayload(sizes)))
        }
        let head = self == .frames ? Record.headerSize : 0
        let packets = shape.packets(of: length)
        guard packets > 1 else { return alone(head + length) }
        let last = length - (packets - 1) * shape.segment
        return (packets - 1) * alone(head + shape.header + shape.segment) + alone(head + last)
    }
}

/// The largest payloads of datagrams, in bytes.
struct PayloadSizes {
    /// The MTU of the device, which padding must not exceed.
    var mtu = 1420
    /// The largest payload with frames, which may be larger themselves: what the path takes in one piece.
    var framePayload = 1420
}
