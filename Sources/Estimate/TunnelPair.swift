import Addresses
import TunnelCore

/// What became of the packets of one drain.
struct Passage {
    /// What one step of the sender took, and what it left plain, by reason.
    struct Step {
        var time = CPUTime()
        var skipped: [UInt64]
    }

    /// Packets that one datagram brought, or the last of several; `wire` and `time` count all of these.
    struct Delivery {
        let packets: [[UInt8]]
        let wire: Int
        let time: CPUTime
    }

    /// For each packet.
    var sent: [Step] = []
    /// After all of them.
    var finished = Step(skipped: [])
    var deliveries: [Delivery] = []
}

/// Two gateways on a wire in memory that loses nothing and takes no time.
final class TunnelPair {
    private let ends: [End]
    private let largestDatagram: Int
    /// Bytes of the headers in front of each datagram.
    private let outerHeaders: Int
    /// What the wire carried so far, with those.
    private(set) var wireBytes = 0
    private var instant = Instant(nanoseconds: 1_000_000_000_000)
    /// What came for each end and has not yet made a packet.
    private var arriving = [(wire: 0, time: CPUTime()), (wire: 0, time: CPUTime())]

    /// No exchange takes so many turns.
    private static let mostTurns = 64

    /// Both ends with a session.
    init(_ compression: CompressionPolicy, mtu: Int, outerHeaders: Int) {
        self.outerHeaders = outerHeaders
        largestDatagram = mtu + 32
        let start = Now.of(instant)
        ends = [1, 2].map { End(.v4(0xc000_0200 | $0), mtu: mtu, at: start) }
        for (end, other) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            let everything = [Prefix(.v4(0), length: 0), Prefix(.v6(0), length: 0)].compactMap { $0 }
            end.tunnel.setPeer(
                other.publicKey,
                PeerConfiguration(
                    endpoint: other.path.remote, allowedIPs: everything, compression: compression), at: start)
        }
        connect()
    }

    /// Both ends compress.
    var compresses: Bool { ends.allSatisfy { $0.peer?.compresses == true } }

    /// A keepalive asks for a session.
    private func connect() {
        let (first, second) = (ends[0], ends[1])
        first.tunnel.setPersistentKeepalive(.seconds(25), of: second.publicKey, at: Now.of(instant))
        advance(to: instant)
        first.tunnel.setPersistentKeepalive(nil, of: second.publicKey, at: Now.of(instant))
        // For HELLO to be confirmed.
        advance(to: instant + .seconds(1))
    }

    /// Lets time pass.
    func advance(to moment: Instant) {
        var passage = Passage()
        while let due = ends.compactMap({ $0.tunnel.nextTimeout }).min(), due <= moment {
            instant = max(instant, due)
            for end in ends { end.driver.handleTimeouts(at: Now.of(instant)) }
            carry(&passage)
        }
        instant = max(instant, moment)
    }

    /// Since the start of the clock.
    var elapsed: Interval { instant - Instant(nanoseconds: 0) }

    /// Gives packets to one end at once, after it was idle for so long.
    func send(_ packets: [Packet], from number: Int, idle: Interval) -> Passage {
        let end = ends[number]
        let now = Now.of(instant)
        var passage = Passage()
        var skipped = end.skipped
        func step(_ time: CPUTime) -> Passage.Step {
            let before = skipped
            skipped = end.skipped
            return Passage.Step(time: time, skipped: zip(skipped, before).map { $0 - $1 })
        }
        end.tunnel.beginTurn(at: now, idle: idle)
        for packet in packets {
            passage.sent.append(step(end.send(packet, at: now)))
            end.driver.makeRoomToSend()
            // After a long silence the first one shakes hands; no more need to wait for that than in a tunnel that is in use.
            if passage.sent.count == 1 || end.driver.hasSent { carry(&passage) }
        }
        var time = CPUTime()
        var isLeft = true
        while isLeft {
            time = time + CPUTime.of { isLeft = end.driver.sendBatch(at: now) }
            carry(&passage)
        }
        passage.finished = step(time)
        return passage
    }

    /// Brings datagrams to the other end until both have nothing more to say.
    private func carry(_ passage: inout Passage) {
        let now = Now.of(instant)
        for _ in 0..<Self.mostTurns {
            var isQuiet = true
            for number in ends.indices {
                ends[number].shakeHands(at: now)
                for datagram in ends[number].driver.takeDatagrams() {
                    isQuiet = false
                    deliver(datagram, to: 1 - number, at: now, &passage)
                }
            }
            if isQuiet { return }
        }
    }

    private func deliver(_ datagram: MemoryDriver.Datagram, to number: Int, at now: Now, _ passage: inout Passage) {
        let (end, other) = (ends[number], ends[1 - number])
        let before = end.peer?.traffic.received.wire ?? 0
        let (packets, time) = end.receive(datagram, from: other, at: now)
        let data = Int((end.peer?.traffic.received.wire ?? 0) - before)
        wireBytes += datagram.bytes.count + outerHeaders
        // Handshakes, HELLO and keepalives are nobody's. What is more than a datagram's came in several.
        let datagrams = (data + largestDatagram - 1) / largestDatagram
        arriving[number].wire += data + datagrams * outerHeaders
        arriving[number].time = arriving[number].time + time
        guard !packets.isEmpty else { return }
        passage.deliveries.append(
            Passage.Delivery(packets: packets, wire: arriving[number].wire, time: arriving[number].time))
        arriving[number] = (0, CPUTime())
    }
}
