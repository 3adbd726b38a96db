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
    /// Traffic that is never compressed, because what an attacker may place beside a secret would betray it by length.
    public var skip: TrafficRules
    /// If given, the only traffic that is.
    public var only: TrafficRules?

    public init(_ mode: Mode, skip: TrafficRules = .exposed, only: TrafficRules? = nil) {
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
        _ packet: RawSpan, _ header: InternetPacket, peer codecs: CodecSet, _ flows: inout FlowTable
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
        guard !skip.match(traffic), only?.match(traffic) != false else { return .skipped(.exposed) }
        guard !TrafficRules.encrypted.match(traffic) else { return .skipped(.encrypted) }
        guard let flow = flows.take(traffic.hash) else { return .skipped(.backoff) }
        return .code(codec, flow)
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
