import Addresses
import TunnelCore

/// Two gateways on a link with a rate and a round trip, in memory: packets wait for it and leave as units, which may refer to what was sent
/// before.
///
/// A sender that is faster than the link is held up, as TCP would be, so that the queue stays short; the clock runs on meanwhile, and the
/// capture catches up in its pauses.
final class ThinPair {
    /// Packets that came out at once, and what the wire carried for them.
    struct Delivery {
        let packets: [[UInt8]]
        let wire: Int
    }

    private struct Flight {
        let at: Instant
        let datagram: MemoryDriver.Datagram
        let number: Int
    }

    /// Of one direction: packets that are to come out, and how many of each; their bytes, but for those that are waited for no more; the part
    /// that was left of the last ones on the wire.
    private struct Direction {
        var expected: [[UInt8]: Int] = [:]
        var bytes = 0
        var left = 1.0
        /// What came and has not yet made a packet.
        var arriving = 0
    }

    /// A queue of that length does no harm, so nothing is dropped for it.
    private static let queue = Interval.milliseconds(20)
    /// What the queue takes at most, and always.
    private static let mostQueue = 0.3
    private static let leastQueue = 48 << 10
    /// The bytes after which nothing is left of what was known of a direction.
    private static let memory = 65_536.0
    /// What has not come for so long does not come any more.
    private static let patience = Interval.seconds(3)
    /// How often what a full queue dropped is sent again.
    private static let tries = 8
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    private let ends: [End]
    private let rate: Double
    private let latency: Interval
    private let outerHeaders: Int
    private let largestDatagram: Int
    private var instant = ThinPair.start
    private var inFlight: [Flight] = []
    private var directions = [Direction(), Direction()]
    private var deliveries: [Delivery] = []
    /// What the wire carried so far, with the headers outside.
    private(set) var wireBytes = 0
    /// Something came out that did not go in.
    private(set) var isWrong = false

    /// Both ends with a session; `scope`: what units may refer to, if to anything.
    init(_ options: Estimation.Options, history scope: HistoryScope?) {
        rate = Double(options.rate)
        latency = Interval(nanoseconds: options.roundTrip.nanoseconds / 2)
        outerHeaders = options.outerHeaders
        largestDatagram = options.mtu + 32
        let now = Now.of(instant)
        ends = [1, 2].map { End(.v4(0xc000_0200 | $0), mtu: options.mtu, at: now) }
        let everything = [Prefix(.v4(0), length: 0), Prefix(.v6(0), length: 0)].compactMap { $0 }
        for (end, other) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            var peer = PeerConfiguration(
                endpoint: other.path.remote, allowedIPs: everything, compression: options.compression)
            peer.rate = options.rate
            peer.history = scope != nil
            peer.historyScope = scope ?? .flow
            end.tunnel.setHistoryMemory(64 << 20)
            end.tunnel.setPeer(other.publicKey, peer, at: now)
        }
        // A keepalive asks for a session.
        ends[0].tunnel.setPersistentKeepalive(.seconds(25), of: ends[1].publicKey, at: now)
        advance(to: instant + .seconds(1))
        ends[0].tunnel.setPersistentKeepalive(nil, of: ends[1].publicKey, at: Now.of(instant))
    }

    // MARK: In

    /// Gives packets to one end that came together.
    func send(_ packets: [[UInt8]], from number: Int, at moment: Instant) {
        advance(to: moment)
        ends[number].tunnel.beginTurn(at: Now.of(instant), idle: .seconds(1))
        for packet in packets {
            waitForRoom(for: packet.count, number)
            directions[number].expected[Self.name(packet), default: 0] += 1
            directions[number].bytes += packet.count
            unsafe ends[number].tunnel.handlePacket(packet.span.bytes, at: Now.of(instant))
            ends[number].driver.makeRoomToSend()
        }
        settle(number)
    }

    /// A packet without what a queue may change in it.
    private static func name(_ packet: [UInt8]) -> [UInt8] {
        var packet = packet
        if packet[0] >> 4 == 6 {
            packet[1] &= 0xcf
        } else {
            packet[1] &= 0xfc
            packet[10] = 0
            packet[11] = 0
        }
        return packet
    }

    private func waitForRoom(for size: Int, _ number: Int) {
        guard isFull(size, number) else { return }
        settle(number)
        let deadline = instant + Self.patience
        while isFull(size, number), step(to: deadline) {}
        if isFull(size, number) { directions[number].bytes = 0 }
        ends[number].tunnel.beginTurn(at: Now.of(instant), idle: .seconds(1))
    }

    private func isFull(_ size: Int, _ number: Int) -> Bool {
        let bytes = directions[number].bytes
        let seconds = Double((Self.queue + latency).nanoseconds) / 1e9
        let most = min(
            rate / 8 * seconds / directions[number].left, max(rate / 8 * Self.mostQueue, Double(Self.leastQueue)))
        return bytes > 0 && Double(bytes + size) > most
    }

    /// Lets time pass until all has come, and sends again what has not; false if that is in vain.
    func finish() -> Bool {
        for _ in 0..<Self.tries {
            for _ in 0..<4 where directions.contains(where: { !$0.expected.isEmpty }) {
                advance(to: instant + .seconds(1))
            }
            guard directions.contains(where: { !$0.expected.isEmpty }) else { return true }
            for number in directions.indices {
                let lost = directions[number].expected.flatMap { Array(repeating: $0.key, count: $0.value) }
                directions[number] = Direction()
                send(lost, from: number, at: instant)
            }
        }
        return false
    }

    // MARK: Time

    /// Lets time pass.
    private func advance(to moment: Instant) {
        while step(to: moment) {}
        instant = max(instant, moment)
    }

    /// Goes to what happens next, and does it; false if that is later than `moment`.
    private func step(to moment: Instant) -> Bool {
        let timeout = ends.compactMap { $0.tunnel.nextTimeout }.min() ?? .distantFuture
        let next = min(timeout, inFlight.first?.at ?? .distantFuture)
        guard next <= moment else { return false }
        instant = max(instant, next)
        while let flight = inFlight.first, flight.at <= instant {
            inFlight.removeFirst()
            deliver(flight)
        }
        for number in ends.indices {
            guard let timeout = ends[number].tunnel.nextTimeout, timeout <= instant else { continue }
            ends[number].driver.handleTimeouts(at: Now.of(instant))
            settle(number)
        }
        return true
    }

    /// Does the work that waits at an end, and puts what comes of it on the wire.
    private func settle(_ number: Int) {
        let end = ends[number]
        let now = Now.of(instant)
        while end.tunnel.hasKept { end.driver.handleKept(at: now) }
        end.driver.sendGathered(at: now)
        end.shakeHands(at: now)
        take(end.driver.takeWrites().map(\.packet), number)
        for datagram in end.driver.takeDatagrams() {
            wireBytes += datagram.bytes.count + outerHeaders
            inFlight.append(Flight(at: instant + latency, datagram: datagram, number: 1 - number))
        }
    }

    private func deliver(_ flight: Flight) {
        let (end, other) = (ends[flight.number], ends[1 - flight.number])
        let before = end.peer?.traffic.received.wire ?? 0
        let (packets, _) = end.receive(flight.datagram, from: other, at: Now.of(instant))
        let data = Int((end.peer?.traffic.received.wire ?? 0) - before)
        let datagrams = (data + largestDatagram - 1) / largestDatagram
        directions[1 - flight.number].arriving += data + datagrams * outerHeaders
        take(packets, flight.number)
        settle(flight.number)
    }

    // MARK: Out

    /// Takes what an end has for its device.
    private func take(_ packets: [[UInt8]], _ number: Int) {
        guard !packets.isEmpty else { return }
        let from = 1 - number
        var plain = 0
        for packet in packets {
            let name = Self.name(packet)
            guard let count = directions[from].expected[name] else {
                isWrong = true
                continue
            }
            directions[from].expected[name] = count > 1 ? count - 1 : nil
            plain += packet.count
        }
        let wire = directions[from].arriving
        directions[from].arriving = 0
        directions[from].bytes = max(directions[from].bytes - plain, 0)
        let share = Double(wire) / Double(max(plain, 1))
        directions[from].left += (share - directions[from].left) * min(Double(plain) / Self.memory, 1)
        directions[from].left = min(max(directions[from].left, 0.02), 2)
        deliveries.append(Delivery(packets: packets, wire: wire))
    }

    /// What came since it was taken last.
    func takeDeliveries() -> [Delivery] {
        defer { deliveries = [] }
        return deliveries
    }
}
