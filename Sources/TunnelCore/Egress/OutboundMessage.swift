/// Everything that leaves on a session, but packets as they are, which need no message.
enum OutboundMessage: ~Escapable {
    /// An IP packet with a CONFIRM behind it, for which there is room.
    case confirming(RawSpan, InternetPacket, ConfirmRecord)
    /// An Ethernet frame as a record of its own, and the traffic class outside.
    case frame(RawSpan, trafficClass: UInt8)
    /// An Ethernet frame that stands for several, as a PACK of its own, and the traffic class outside.
    case segmented(RawSpan, MemberShape, trafficClass: UInt8)
    /// A batch of the gathering, and the form that it leaves in.
    case batch(Int, BatchForm)
    /// A record that is no data.
    case control(ControlRecord)
    /// A row of parity of the block of the peer's that is closed first, and its bytes.
    case parity(ParityRecord, length: Int)
    /// A record of KEYS, whole.
    case keys(RawSpan)
    case keepalive

    /// It holds packets or frames.
    @inline(__always) var isData: Bool {
        switch self {
        case .confirming, .frame, .segmented, .batch: true
        case .control, .parity, .keys, .keepalive: false
        }
    }

    /// The stream of ours that it is a unit of; `nil`: of none.
    @inline(__always) var stream: Int? {
        if case .batch(_, .stream(let stream, _)) = self { stream } else { nil }
    }

    /// It asks whether so much gets there.
    @inline(__always) var isPadded: Bool {
        if case .control(.ping(let ping)) = self { ping.size > 0 } else { false }
    }
}

/// The form that a batch leaves in.
enum BatchForm {
    /// One UNIT, in fragments if it must be; nothing if it is not smaller than its packets alone.
    case unit(Codec, Effort)
    /// One STREAM, the next unit of a stream of ours; nothing if that did not go, and the stream is over.
    case stream(Int, at: Instant)
    /// One RECALL, with a dictionary of ours; nothing if it takes no less on the wire than without.
    case recall(Recall)
    /// One BUNDLE; nothing if it does not fit into one datagram.
    case bundle
    /// One PACK, in fragments if it must be.
    case pack
}
