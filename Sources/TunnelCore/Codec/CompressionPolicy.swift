/// The operator's wishes towards one peer: what is compressed, and what is announced.
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

        /// Whether anything is coded for a peer that decodes `codecs`.
        func codes(forPeer codecs: CodecSet) -> Bool {
            switch self {
            case .off, .receive: false
            case .auto: !codecs.isEmpty
            case .codec(let codec): codecs.contains(codec)
            }
        }
    }

    /// Whose packets may share a unit.
    public enum Scope: Sendable, Equatable {
        /// The packets of one flow: what one flow carries never shows in the length of another's.
        case flow
        /// All packets that go to the peer.
        case peer
    }

    public var mode: Mode
    public var scope: Scope
    /// Traffic that is never compressed; `nil` is what encrypts by itself, and what an attacker may place text in beside
    /// a secret, which its length would betray.
    public var skip: TrafficRules?
    /// If given, the only traffic that is.
    public var only: TrafficRules?

    public init(_ mode: Mode, scope: Scope = .flow, skip: TrafficRules? = nil, only: TrafficRules? = nil) {
        self.mode = mode
        self.scope = scope
        self.skip = skip
        self.only = only
    }

    /// Plain WireGuard.
    public static let off = CompressionPolicy(.off)

    /// The codecs that HELLO announces: those that we decode.
    var announced: CodecSet { mode == .off ? [] : .all }

    /// Whether anything is ever coded.
    @inline(__always) var codes: Bool { mode != .off && mode != .receive }

    /// Looks at a flow for the first time, and at its first payload. Once there is a verdict, no rule is looked at again.
    @inline(never)
    borrowing func judge(
        _ packet: RawSpan, _ layout: PacketLayout, of traffic: Traffic, flow: FlowTable.Flow, in flows: inout FlowTable
    ) {
        if flows[flow] == .unknown {
            switch exclusion(of: traffic) {
            case .exposed: flows[flow] = .exposed
            case .encrypted: flows[flow] = .encrypted
            default: flows[flow] = .unseen
            }
        }
        let payload = packet.extracting(layout.header..<packet.byteCount)
        guard flows[flow] == .unseen, payload.byteCount > 0 else { return }
        flows[flow] = .open
        switch Recognition(payload, isUDP: layout.transport == .udp) {
        case .unknown: break
        case .encrypted: flows[flow] = .encrypted
        case .compressed: flows.noteCompressed(flow)
        }
    }

    /// Why the rules leave a packet alone, if they do. One whose ports can't be seen always is.
    private borrowing func exclusion(of traffic: Traffic) -> CompressionSkip? {
        if traffic.hidesPorts { return .exposed }
        if let only, !only.match(traffic) { return .exposed }
        if let skip { return skip.match(traffic) ? .exposed : nil }
        if TrafficRules.exposed.match(traffic) { return .exposed }
        return TrafficRules.encrypted.match(traffic) ? .encrypted : nil
    }
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
    /// There is no time for it, or the link is too fast.
    case busy
}
