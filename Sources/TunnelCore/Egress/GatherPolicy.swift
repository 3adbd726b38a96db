/// The policy for packets to a peer that takes more than plain ones: how large units and bundles may be, and which packets
/// are compressed.
struct GatherPolicy {
    /// Packets up to this size travel in bundles: of larger ones hardly two fit into a datagram.
    static let bundledPacket = 512
    /// Up to this size deflate, whose codes need no table, leaves less than zstd.
    private static let smallUnit = 700
    /// The smallest packet worth trying: below, the padding swallows what is saved.
    private static let floor = 100
    /// From this loss on, four datagrams share a fate at most, and from the other one.
    private static let someLoss = 0.001
    private static let muchLoss = 0.005

    let mode: CompressionPolicy.Mode
    /// The peer's HELLO: what it decodes, and the largest unit that it takes.
    let hello: HelloExchange
    let limits: RecordLimits
    /// Nanoseconds that the link takes for a byte.
    let link: Double
    /// What is sent waits for the link in any case: there is time to save more of it.
    let waits: Bool
    /// The part of the datagrams that get lost.
    let loss: Double

    /// The treatment of a packet of a flow that has no batch.
    enum Treatment {
        case code(Codec)
        /// It is not compressed; the reason is counted if there is one.
        case leave(CompressionSkip?)
    }

    /// Decides on a packet of a flow about which there is a verdict, and notes in the flow table that it passed or will be tried.
    @inline(__always)
    func treat(_ packet: GatheredPacket, _ flows: inout FlowTable, hasTime: Bool) -> Treatment {
        let (bytes, shape, flow) = (packet.bytes, packet.shape, packet.flow)
        let size = bytes.byteCount
        // A super-segment is cut where a unit is full, down to one packet.
        let least = shape.segment > 0 ? shape.layout.header + shape.segment : size
        guard let codec, least <= hello.maximumUnit else { return .leave(nil) }
        if !flows.isSettled(flow) {
            if size < Self.floor { return .leave(.small) }
            if !hasTime, mode == .auto { return .leave(.busy) }
        }
        if let reason = flows.passUntried(flow, size: size) { return .leave(reason) }
        if mode == .auto, effort(codec, size: size, fraction: flows.fraction(flow)) == nil {
            flows.pause(flow, size: size)
            return .leave(.busy)
        }
        if flows.isDoubtful(flow), Recognition.looksRandom(bytes.extracting(shape.layout.header..<size)) {
            flows.noteFailure(on: flow, size: size)
            return .leave(.backoff)
        }
        return .code(codec)
    }

    /// The codec that the mode asks for, if the peer decodes it.
    @inline(__always)
    private var codec: Codec? {
        switch mode {
        case .off, .receive: nil
        case .auto: hello.preferredCodec
        case .codec(let codec): hello.codecs.contains(codec) ? codec : nil
        }
    }

    /// How many bytes of a flow go into one unit: as many as fit into the datagrams that may share its fate, if it
    /// compresses as it did lately, `fraction` being what was left.
    func unitLimit(fraction: Double) -> Int {
        guard hello.records.contains(.bundle) else { return 0 }
        let pieces =
            !limits.fragments || loss >= Self.muchLoss ? 1 : loss >= Self.someLoss ? 4 : FragmentRecord.mostPieces
        let coded = pieces == 1 ? limits.payload - UnitRecord.headerSize : pieces * limits.piece
        let plain = Double(coded) / max(fraction, 0.01)
        return min(Int(plain), hello.maximumUnit, FragmentRecord.mostPieces * limits.piece)
    }

    private func effort(_ codec: Codec, size: Int, fraction: Double) -> Effort? {
        Effort.best(codec, size: size, fraction: fraction, link: link, margin: waits ? Effort.waiting : Effort.busy)
    }

    /// With what and how hard to code a unit of `size` bytes of a flow.
    func form(_ codec: Codec, size: Int, fraction: Double) -> BatchForm {
        if size < Self.smallUnit, mode == .auto, hello.codecs.contains(.deflate),
            let effort = effort(.deflate, size: size, fraction: fraction)
        {
            return .unit(.deflate, effort)
        }
        return .unit(codec, effort(codec, size: size, fraction: fraction) ?? .usual(codec))
    }
}
