import Addresses
import Keys

@testable import TunnelCore

/// Tunnels on a wire that can do anything to a datagram, under one virtual clock. Somebody listens, and keeps it all.
final class Link {
    /// What becomes of a datagram.
    enum Fate {
        case deliver
        case drop
        case duplicate
        case delay(Interval)
        case replace([UInt8])
    }

    /// One way through the wire.
    let latency: Interval
    private(set) var instant = Instant(nanoseconds: 1_000_000_000_000)
    /// Everything that was ever sent, in order, whatever became of it.
    var sightings: [Sighting] = []
    /// Decides about every datagram.
    var rule: (Sighting) -> Fate = { _ in .deliver }
    /// Off where millions of datagrams would be kept for nothing.
    var listens = true
    private(set) var ends: [End] = []
    private var inFlight: [Flight] = []
    private var sequence = 0

    private struct Flight {
        let at: Instant
        let sequence: Int
        let sighting: Sighting
        let bytes: [UInt8]
    }

    init(latency: Interval = .milliseconds(10)) { self.latency = latency }

    func add(_ end: End) {
        ends.append(end)
        settle(end)
    }

    /// A process ends and another takes its place, with nothing but its configuration.
    func replace(_ old: End, by new: End) {
        ends.removeAll { $0 === old }
        add(new)
    }

    func now(at end: End) -> Now {
        let wall = instant.nanoseconds + 1_700_000_000_000_000_000 + end.clockError.nanoseconds
        return Now(
            instant: instant,
            wall: WallTime(seconds: wall / 1_000_000_000, nanoseconds: UInt32(wall % 1_000_000_000)))
    }

    // MARK: In

    /// Hands a packet to an end as its device would.
    func send(_ packet: [UInt8], from end: End) {
        let bytes = unsafe packet.span.bytes
        end.tunnel.handlePacket(bytes, at: now(at: end))
        settle(end)
    }

    /// Hands packets to an end as its device would in one drain.
    func send(together packets: [[UInt8]], from end: End) {
        for packet in packets {
            let bytes = unsafe packet.span.bytes
            end.tunnel.handlePacket(bytes, at: now(at: end))
            end.driver.makeRoomToSend()
        }
        settle(end)
    }

    /// The same with frames: a virtio header, then a packet or a super-segment.
    func send(frames: [[UInt8]], from end: End) {
        for frame in frames {
            end.read(frame, at: now(at: end))
            end.driver.makeRoomToSend()
        }
        settle(end)
    }

    /// Hands Ethernet frames to an end as its device would in one drain.
    func send(ethernet frames: [[UInt8]], from end: End) {
        send(frames: frames.map { [UInt8](repeating: 0, count: VirtioHeader.size) + $0 }, from: end)
    }

    /// Hands a datagram to an end at once, past the wire.
    func deliver(_ datagram: [UInt8], to end: End, from source: Endpoint, trafficClass: UInt8 = 0) {
        end.receive(datagram, from: Path(source), trafficClass: trafficClass, at: now(at: end))
        settle(end)
    }

    /// Hands datagrams to an end in one turn, past the wire.
    func deliver(together datagrams: [(bytes: [UInt8], source: Endpoint)], to end: End) {
        for datagram in datagrams {
            end.receive(datagram.bytes, from: Path(datagram.source), trafficClass: 0, at: now(at: end))
        }
        settle(end)
    }

    /// Changes something about an end and does what follows from it.
    func change(_ end: End, _ body: (inout Tunnel, Now) -> Void) {
        body(&end.tunnel, now(at: end))
        settle(end)
    }

    /// Does the work that waits at an end, and puts what comes out on the wire.
    func settle(_ end: End) {
        while end.tunnel.hasKept { end.driver.handleKept(at: now(at: end)) }
        end.driver.sendGathered(at: now(at: end))
        end.work(at: now(at: end))
        carry(from: end)
    }

    private func carry(from end: End) {
        for datagram in end.takeDatagrams() {
            let sighting = Sighting(
                at: instant, from: end.endpoint, to: datagram.path.remote, bytes: datagram.bytes,
                trafficClass: datagram.trafficClass, payload: end.payload(of: datagram.bytes),
                division: datagram.division)
            if listens { sightings.append(sighting) }
            switch rule(sighting) {
            case .deliver: put(sighting, sighting.bytes, after: latency)
            case .drop: break
            case .duplicate:
                put(sighting, sighting.bytes, after: latency)
                put(sighting, sighting.bytes, after: latency)
            case .delay(let more): put(sighting, sighting.bytes, after: latency + more)
            case .replace(let bytes): put(sighting, bytes, after: latency)
            }
        }
    }

    private func put(_ sighting: Sighting, _ bytes: [UInt8], after wait: Interval) {
        sequence += 1
        let at = instant + wait
        let place = inFlight.lastIndex { $0.at <= at }.map { $0 + 1 } ?? 0
        inFlight.insert(Flight(at: at, sequence: sequence, sighting: sighting, bytes: bytes), at: place)
    }

    // MARK: Time

    /// When something happens next, if ever.
    var next: Instant? {
        let timeouts = ends.compactMap { $0.tunnel.nextTimeout }.map { max($0, instant) }
        return (timeouts + inFlight.prefix(1).map(\.at)).min()
    }

    /// Goes to the next deadline or delivery, and does what is due then; false if nothing ever is.
    @discardableResult
    func step() -> Bool {
        guard let next else { return false }
        instant = next
        while let flight = inFlight.first, flight.at <= instant {
            inFlight.removeFirst()
            guard let end = ends.first(where: { $0.endpoint == flight.sighting.to }) else { continue }
            deliver(
                flight.bytes, to: end, from: flight.sighting.from, trafficClass: flight.sighting.trafficClass)
        }
        for end in ends {
            guard let timeout = end.tunnel.nextTimeout, timeout <= instant else { continue }
            end.driver.handleTimeouts(at: now(at: end))
            settle(end)
        }
        return true
    }

    /// Lets time pass.
    func run(for interval: Interval) {
        let end = instant + interval
        while let next, next <= end { step() }
        instant = end
    }

    /// Lets time pass until nothing is on the wire any more.
    func drain() {
        while !inFlight.isEmpty { step() }
    }
}
