public import Control
public import TunnelCore

/// Runs packets through two tunnels as plain WireGuard and with compression, and, in front of a link with a rate, with units that stand
/// alone, with those that refer to others by flow, and by hosts; and compares.
///
/// Each packet goes in where its sender would be and must come out at the other end as it was. The clock is that of the
/// capture.
public struct Estimation {
    public struct Options: Sendable {
        public var compression: CompressionPolicy
        public var mtu: Int
        /// Packets that come within this time wait for the gateway together.
        public var drain: Interval
        /// Bytes of the IP and UDP headers outside.
        public var outerHeaders: Int
        /// The link that packets wait for: its rate in bits a second, and the way there and back.
        public var rate: UInt64
        public var roundTrip: Interval

        public init(
            _ compression: CompressionPolicy, mtu: Int, drain: Interval, outerHeaders: Int, rate: UInt64 = 20_000_000,
            roundTrip: Interval = .milliseconds(40)
        ) {
            self.compression = compression
            self.mtu = mtu
            self.drain = drain
            self.outerHeaders = outerHeaders
            self.rate = rate
            self.roundTrip = roundTrip
        }
    }

    /// What became of a packet that was handed in.
    public enum Admission: Sendable {
        case taken
        case notIP
        /// To a group, or to a neighbour on the same link.
        case local
        /// Longer than the MTU, and not of a kind that is cut.
        case tooLong
    }

    /// What the daemon reads from its device at once.
    private static let mostPackets = 64
    private static let start = Instant(nanoseconds: 1_002_000_000_000)
    /// Three hundred years, which no capture takes.
    private static let longest = Int64.max - 2 * start.nanoseconds

    private let options: Options
    private let plain: TunnelPair
    private let gateway: TunnelPair
    /// In the order of `Tally.Link`.
    private let thin: [ThinPair]
    private var tally = Tally()
    private var drain: [Packet] = []
    private var drainStart = start
    private var now = start
    /// When each end had its last drain.
    private var lastDrain = [start, start]
    private var origin: Int64?
    private var packets = 0

    public init(_ options: Options) throws(Failure) {
        self.options = options
        plain = TunnelPair(.off, mtu: options.mtu, outerHeaders: options.outerHeaders)
        gateway = TunnelPair(options.compression, mtu: options.mtu, outerHeaders: options.outerHeaders)
        thin = Tally.Link.allCases.map { ThinPair(options, history: $0.scope) }
        guard gateway.compresses else { throw Self.bug("the two ends did not agree on compression") }
    }

    /// Takes a packet that was captured at `time`, in nanoseconds; `nil` is at the time of the one before.
    public mutating func add(_ bytes: [UInt8], at time: Int64?) throws(Failure) -> Admission {
        guard let packet = Packet(bytes) else { return .notIP }
        guard !packet.isLocal else { return .local }
        guard !packet.isTooLong(mtu: options.mtu) else { return .tooLong }
        packets += 1
        let moment = moment(of: time)
        if drain.count == Self.mostPackets || moment - drainStart > options.drain { try finishDrain() }
        if drain.isEmpty { drainStart = moment }
        now = moment
        drain.append(packet)
        return .taken
    }

    /// What came of all packets.
    public mutating func finish() throws(Failure) -> EstimateReport {
        try finishDrain()
        for link in Tally.Link.allCases {
            guard thin[link.rawValue].finish() else { throw Self.bug("a packet did not come out, \(link)", packets) }
            try take(link)
        }
        return EstimateReport(
            tally, options, wireGuard: plain.wireBytes, gateway: gateway.wireBytes, links: thin.map(\.wireBytes),
            seconds: Double((now - Self.start).nanoseconds) / 1e9)
    }

    /// On the clock of the tunnels, which never goes back.
    private mutating func moment(of time: Int64?) -> Instant {
        guard let time else { return now }
        let origin = origin ?? time
        self.origin = origin
        let (elapsed, isFar) = time.subtractingReportingOverflow(origin)
        let bounded = isFar ? now - Self.start : Interval(nanoseconds: min(max(elapsed, 0), Self.longest))
        return max(now, Self.start + bounded)
    }

    private mutating func finishDrain() throws(Failure) {
        for number in 0...1 {
            let sent = drain.filter { $0.isFromFirst == (number == 0) }
            guard !sent.isEmpty else { continue }
            let idle = now - lastDrain[number]
            lastDrain[number] = now
            try pass(sent, from: number, idle: idle)
        }
        drain.removeAll(keepingCapacity: true)
    }

    private mutating func pass(_ sent: [Packet], from number: Int, idle: Interval) throws(Failure) {
        plain.advance(to: now)
        gateway.advance(to: now)
        let reference = plain.send(sent, from: number, idle: idle)
        let came = reference.deliveries.flatMap(\.packets)
        // Of those that were cut, WireGuard's own packets are what is expected.
        var whole = Expected(sent.filter { $0.superSegment(mtu: options.mtu) == nil }.map(\.bytes))
        for packet in came { _ = whole.take(packet) }
        guard whole.isEmpty else { throw Self.bug("WireGuard lost or changed a packet", packets) }

        let passage = gateway.send(sent, from: number, idle: idle)
        var expected = Expected(came)
        for packet in passage.deliveries.flatMap(\.packets) {
            guard expected.take(packet) else { throw Self.bug("a packet came out other than it went in", packets) }
        }
        guard expected.isEmpty else { throw Self.bug("a packet did not come out", packets) }

        tally.notePlain(sent, reference, wireGuardSize)
        tally.noteGateway(sent, passage)
        for link in Tally.Link.allCases {
            thin[link.rawValue].send(came, from: number, at: now)
            try take(link)
        }
    }

    private mutating func take(_ link: Tally.Link) throws(Failure) {
        guard !thin[link.rawValue].isWrong else {
            throw Self.bug("a packet came out other than it went in, \(link)", packets)
        }
        tally.note(thin[link.rawValue].takeDeliveries(), on: link)
    }

    /// What WireGuard makes of a packet: padded to 16 but not beyond the MTU, 32 bytes of its own, the headers outside.
    private func wireGuardSize(_ length: Int) -> Int {
        max(length, min((length + 15) & ~15, options.mtu)) + 32 + options.outerHeaders
    }

    private static func bug(_ what: String, _ packet: Int = 0) -> Failure {
        let place = packet > 0 ? ", at packet \(packet) or up to \(mostPackets) before it" : ""
        return Failure(.software, "\(what)\(place): this is a bug; please report it, with the capture if you can")
    }
}
