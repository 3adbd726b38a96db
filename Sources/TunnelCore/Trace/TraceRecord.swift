public import Addresses
public import Keys

/// What became of a packet, of several that left or came together, or of a message without any. Plain memory: it is written on
/// the packet's way.
public struct TraceRecord: Sendable {
    /// Seen from this machine.
    public enum Direction: Sendable {
        case out
        case into
    }

    /// The form that it has in its datagrams.
    public enum Form: Sendable {
        case packet, unit, bundle, pack, frame
        /// A record that is no data, or a keepalive.
        case control, keepalive
        /// A handshake message.
        case handshake
        /// It has none: it was dropped before, or was not looked into.
        case none
    }

    public var at: WallTime
    public let direction: Direction
    public var peer: PeerSlot?
    /// That of the first packet.
    public var flow = TraceFlow()
    public var form = Form.none
    /// Packets inside, each one that a super-segment stands for counted, and their bytes.
    public var packets: Int32 = 0
    public var plain: Int32 = 0
    /// The codec, and the bytes of the record that it made; 0 where that is not known.
    public var codec: Codec?
    public var coded: Int32 = 0
    /// Why it was not compressed; `nil` if nobody would, or it was.
    public var skip: CompressionSkip?
    public var cipher: CipherSuite?
    /// Datagrams, and their bytes as UDP payload.
    public var datagrams: Int32 = 0
    public var wire: Int32 = 0
    /// Why it went no further, and how many packets or datagrams did not.
    public var drop: DropReason?
    public var dropped: Int32 = 0
    /// The type of a record that is no data.
    public var kind: UInt8 = 0
    /// Where its bytes are in the batch, and how many there were.
    public var offset: Int32 = 0
    public var captured: Int32 = 0
    public var original: Int32 = 0

    @inline(__always)
    init(_ direction: Direction, of peer: PeerSlot?, at now: WallTime) {
        at = now
        self.direction = direction
        self.peer = peer
    }
}

/// Whose packet it is: addresses, protocol and ports, as far as they can be seen.
public struct TraceFlow: Sendable {
    public var source: IPAddress?
    public var destination: IPAddress?
    /// The number of the protocol; ports are 0 where it has none or hides them.
    public var transport: UInt8 = 0
    public var sourcePort: UInt16 = 0
    public var destinationPort: UInt16 = 0

    init() {}

    /// That of an IP packet; empty if it is none.
    init(_ packet: RawSpan) {
        if let header = InternetPacket(packet) { take(packet, header) }
    }

    init(_ packet: RawSpan, _ header: InternetPacket) { take(packet, header) }

    /// That of a packet of which only the beginning is here.
    init(start: RawSpan) {
        guard start.byteCount >= IPv4Header.size else { return }
        if start.byte(at: 0) >> 4 == 4 {
            source = .v4(start.big32(at: IPv4Header.source))
            destination = .v4(start.big32(at: IPv4Header.destination))
            transport = start.byte(at: IPv4Header.transport)
            let isFragment = start.big16(at: IPv4Header.fragmentOffset) & 0x1fff != 0
            if !isFragment { takePorts(start, at: Int(start.byte(at: 0) & 15) * 4) }
        } else if start.byte(at: 0) >> 4 == 6, start.byteCount >= IPv6Header.size {
            source = .v6(start.big128(at: IPv6Header.source))
            destination = .v6(start.big128(at: IPv6Header.destination))
            transport = start.byte(at: IPv6Header.nextHeader)
            takePorts(start, at: IPv6Header.size)
        }
    }

    private mutating func takePorts(_ packet: RawSpan, at offset: Int) {
        guard transport == IPProtocol.tcp || transport == IPProtocol.udp, packet.byteCount >= offset + 4 else { return }
        sourcePort = packet.big16(at: offset)
        destinationPort = packet.big16(at: offset + 2)
    }

    private mutating func take(_ packet: RawSpan, _ header: InternetPacket) {
        source = header.source
        destination = header.destination
        transport = header.transport
        if !header.hidesPorts { takePorts(packet, at: header.headerLength) }
    }

    /// That of the packet in a frame; empty if there is none.
    init(frame: RawSpan) {
        guard let header = EthernetFrame(frame), let inner = header.packet(in: frame) else { return }
        take(frame.extracting(header.payload..<header.payload + inner.length), inner)
    }

    /// That of a datagram outside.
    init(from source: Endpoint?, to destination: Endpoint?) {
        self.source = source?.address
        self.destination = destination?.address
        transport = IPProtocol.udp
        sourcePort = source?.port ?? 0
        destinationPort = destination?.port ?? 0
    }
}

/// Records that were written one after the other, with the bytes of packets where they are wanted. Its memory is there from the start:
/// what finds no room is counted.
public struct TraceBatch: Sendable {
    public internal(set) var records: [TraceRecord] = []
    public internal(set) var bytes: [UInt8] = []
    /// The most that there may be of both.
    let mostRecords: Int
    let mostBytes: Int
    /// What would have been written: by the wish, without choosing some of many.
    public internal(set) var seen: UInt64 = 0
    /// What was chosen and found no room.
    public internal(set) var left: UInt64 = 0
    /// One of so many was chosen.
    public internal(set) var every: UInt64 = 1
    /// The peers that are named.
    public internal(set) var peers: [PeerSlot: PublicKey] = [:]

    public init(records: Int, bytes: Int = 0) {
        mostRecords = records
        mostBytes = bytes
        self.records.reserveCapacity(records)
        self.bytes.reserveCapacity(bytes)
    }

    /// Empties it, and keeps its memory.
    public mutating func clear() {
        records.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
        (seen, left, every) = (0, 0, 1)
        peers = [:]
    }
}
