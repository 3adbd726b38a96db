public import Addresses

/// What somebody who watches wants to see.
public struct TraceWish: Sendable {
    public enum Content: Sendable {
        /// What became of each packet, without its bytes.
        case steps
        /// Packets as the device gives and gets them.
        case plain
        /// Datagrams.
        case wire
        /// What is in datagrams, opened.
        case payloads

        /// Of each datagram that leaves, its bytes are wanted.
        @inline(__always) var isOfDatagrams: Bool { self == .wire || self == .payloads }
    }

    public enum Outcome: Sendable {
        case dropped, skipped, compressed
    }

    public var content = Content.steps
    /// As many bytes of a packet at most.
    public var bytes = 0
    public var direction: TraceRecord.Direction?
    public var outcome: Outcome?
    /// Packets with this protocol, port, or an address in this prefix, at either end.
    public var transport: UInt8?
    public var port: UInt16?
    public var prefix: Prefix?
    /// Of several, only some may be written down.
    public var samples = true
    var peer: PeerSlot?
    /// Every step of every packet is wanted, as long as some are told.
    var isAny = false

    var takesAny: Bool {
        content == .steps && samples && peer == nil && direction == nil && outcome == nil && transport == nil
            && port == nil
            && prefix == nil
    }

    public init() {}

    /// Whether a record is wanted.
    func admits(_ record: TraceRecord) -> Bool {
        if let peer, record.peer != peer { return false }
        if let direction, record.direction != direction { return false }
        switch outcome {
        case .dropped where record.drop == nil, .skipped where record.skip == nil,
            .compressed where record.codec == nil:
            return false
        default: break
        }
        let flow = record.flow
        if let transport, flow.transport != transport || flow.source == nil { return false }
        if let port, flow.sourcePort != port, flow.destinationPort != port { return false }
        guard let prefix else { return true }
        return flow.source.map { prefix.contains($0) } == true || flow.destination.map { prefix.contains($0) } == true
    }
}
