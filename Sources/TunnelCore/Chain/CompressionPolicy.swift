/// What the operator wants compressed towards one peer, and what is announced to it.
public struct CompressionPolicy: Sendable, Equatable {
    public enum Mode: Sendable, Equatable {
        /// Plain WireGuard: nothing is announced, nothing is coded.
        case off
        /// Announce and decode; send plain.
        case receive
        /// Code with what suits best.
        case auto
        /// Code with this.
        case codec(Codec)
    }

    public var mode: Mode
    /// Traffic that is never compressed; `nil` is what encrypts by itself, and what an attacker may place text in beside
    /// a secret, which its length would betray.
    public var skip: TrafficRules?
    /// If given, the only traffic that is.
    public var only: TrafficRules?

    public init(_ mode: Mode, skip: TrafficRules? = nil, only: TrafficRules? = nil) {
        self.mode = mode
        self.skip = skip
        self.only = only
    }

    /// Plain WireGuard.
    public static let off = CompressionPolicy(.off)

    /// What HELLO says that we decode.
    var announced: CodecSet { mode == .off ? [] : .all }

    /// The smallest packet worth trying: below, the padding swallows what is saved.
    private static let floor = 100

    /// Whether to try to compress a packet for a peer that decodes `codecs`, and with what.
    @inline(__always)
    borrowing func attempt(
        _ packet: RawSpan, _ header: InternetPacket, peer codecs: CodecSet, _ flows: inout FlowTable,
        hasTime: Bool
    ) -> CompressionAttempt {
        let codec: Codec
        switch mode {
        case .off, .receive: return .plain
        case .auto: codec = .deflate
        case .codec(let chosen): codec = chosen
        }
        guard codecs.contains(codec) else { return .plain }
        guard header.length >= Self.floor else { return .skipped(.small) }
        let traffic = Traffic(packet, header)
        if let reason = exclusion(of: traffic) { return .skipped(reason) }
        guard hasTime || mode != .auto else { return .skipped(.busy) }
        guard let flow = flows.take(traffic.hash) else { return .skipped(.backoff) }
        return .code(codec, flow)
    }
}

extension CompressionPolicy {
    /// Why the rules leave a packet alone, if they do. One whose ports can't be seen is left alone wherever ports decide.
    @inline(__always)
    private borrowing func exclusion(of traffic: Traffic) -> CompressionSkip? {
        if let only, !only.match(traffic) { return .exposed }
        if let skip {
            return skip.match(traffic) || traffic.hidesPorts && skip.looksAtPorts ? .exposed : nil
        }
        if TrafficRules.exposed.match(traffic) || traffic.hidesPorts { return .exposed }
        return TrafficRules.encrypted.match(traffic) ? .encrypted : nil
    }
}

/// What the policy says about one packet.
enum CompressionAttempt {
    /// The peer or the configuration does not ask for compression.
    case plain
    case skipped(CompressionSkip)
    case code(Codec, FlowTable.Flow)
}

/// Why a packet that might have been compressed was not tried.
public enum CompressionSkip: Int, CaseIterable, Sendable {
    /// A protocol that encrypts or compresses by itself.
    case encrypted
    /// The operator's rules: compression would betray secrets by length.
    case exposed
    /// Too small to gain anything.
    case small
    /// The flow has not compressed lately.
    case backoff
    /// There is no time for it.
    case busy
}
