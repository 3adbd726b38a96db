/// What a frame begins with, by its number in the registry of tcpdump.org.
public struct LinkType: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let null = LinkType(rawValue: 0)
    public static let ethernet = LinkType(rawValue: 1)
    /// Raw IP as some systems write it, who use the number of their own device there.
    public static let rawBSD = LinkType(rawValue: 12)
    public static let rawOpenBSD = LinkType(rawValue: 14)
    public static let raw = LinkType(rawValue: 101)
    public static let loop = LinkType(rawValue: 108)
    public static let linuxSLL = LinkType(rawValue: 113)
    public static let ipv4 = LinkType(rawValue: 228)
    public static let ipv6 = LinkType(rawValue: 229)
    public static let linuxSLL2 = LinkType(rawValue: 276)
}

/// What a frame carries.
public enum FrameContent: Hashable, Sendable {
    /// A whole IP packet, without what the link adds.
    case packet([UInt8])
    /// Something else, or damaged.
    case notIP
    /// The snapshot length has left too little of it.
    case cut
    /// Frames of this link type can't be read.
    case unknownLink
}

extension CapturedFrame {
    public var content: FrameContent {
        switch link {
        case .raw, .rawBSD, .rawOpenBSD, .ipv4, .ipv6: packet(at: 0)
        case .ethernet: typed(at: 12)
        case .linuxSLL: typed(at: 14)
        case .linuxSLL2: typed(at: 0, header: 20)
        case .null, .loop: family()
        default: .unknownLink
        }
    }

    private static let families: Set<UInt32> = [2, 10, 24, 28, 30]
    private static let tags: Set<UInt16> = [0x8100, 0x88a8, 0x9100]
    private static let mostTags = 4

    private var short: FrameContent { isCut ? .cut : .notIP }

    /// An EtherType at `place`, behind which VLAN tags may follow; `header` bytes in all without them.
    private func typed(at place: Int, header: Int? = nil) -> FrameContent {
        var start = header ?? place + 2
        guard bytes.count >= start else { return short }
        var type = ByteOrder.big.half(bytes, at: place)
        var tags = 0
        while Self.tags.contains(type), tags < Self.mostTags {
            guard bytes.count >= start + 4 else { return short }
            type = ByteOrder.big.half(bytes, at: start + 2)
            start += 4
            tags += 1
        }
        return type == 0x0800 || type == 0x86dd ? packet(at: start) : .notIP
    }

    /// An address family of the system that captured, in its own byte order.
    private func family() -> FrameContent {
        guard bytes.count >= 4 else { return short }
        let isIP = [ByteOrder.little, .big].contains { Self.families.contains($0.word(bytes, at: 0)) }
        return isIP ? packet(at: 4) : .notIP
    }

    private func packet(at start: Int) -> FrameContent {
        guard bytes.count >= start + 20 else { return short }
        let isV4 = bytes[start] >> 4 == 4
        guard isV4 || bytes[start] >> 4 == 6 else { return .notIP }
        guard isV4 || bytes.count >= start + 40 else { return short }
        let place = start + (isV4 ? 2 : 4)
        let stated = Int(ByteOrder.big.half(bytes, at: place))
        guard stated > 0 || bytes[start + (isV4 ? 9 : 6)] != 6 else { return superSegment(at: start, isV4) }
        let end = start + stated + (isV4 ? 0 : 40)
        let header = isV4 ? Int(bytes[start] & 15) * 4 : 40
        guard header >= 20, end - start >= header else { return .notIP }
        return end <= bytes.count ? .packet(Array(bytes[start..<end])) : short
    }

    /// TCP of which the device was to make packets and write their lengths: it is all that there is.
    private func superSegment(at start: Int, _ isV4: Bool) -> FrameContent {
        let size = originalLength - start
        guard size <= Int(UInt16.max) else { return .notIP }
        guard !isCut else { return .cut }
        var packet = Array(bytes[start...])
        let stated = UInt16(isV4 ? size : size - 40)
        packet[isV4 ? 2 : 4] = UInt8(stated >> 8)
        packet[isV4 ? 3 : 5] = UInt8(truncatingIfNeeded: stated)
        return .packet(packet)
    }
}
