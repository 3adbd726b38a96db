import Glibc
import LinuxIO
import Steward
import TunnelCore

// How another process takes over what this loop does (docs/design/upgrade.md). The loop rests meanwhile: it reads nothing and sends
// nothing, so that the state which is written stays true. Packets wait in the kernel.

extension DataLoop {
    /// Milliseconds in which the handshake thread must tell what it knows.
    private static let patience: Int32 = 2000
    private static let mostRounds = 1000
    /// TCP is to stand still for less than 200 ms.
    private static let mostDrain = Interval.milliseconds(120)

    /// Hands over, if nothing else waits to be done; else in the next turn.
    mutating func handOver(_ course: inout Course, _ chores: Chores) {
        // What was asked for before is done by this process.
        let now = Self.now()
        for command in commands.takeAll() { command(&self, now) }
        guard let handover else { return }
        if isServing, drains(at: now) { return }
        self.handover = nil
        let start = bootTime()
        if let problem = tryToHandOver(handover) {
            handover.abort()
            if drainUntil != nil { try? epoll.add(device.descriptor, token: Source.device.rawValue) }
            drainUntil = nil
            // The other may have changed that.
            setOffloads(offloads)
            handover.tell(.refused(problem))
            if let signal = handover.signal { take(signal: signal, &course, chores) }
            return
        }
        isHandedOver = true
        handshakes.post(.forget)
        course.handOver()
        handover.tell(.done(nanoseconds: bootTime() - start))
    }

    /// Lets what waits in front of a link with a rate leave before, while nothing new comes from the device; true while that goes on.
    private mutating func drains(at now: Now) -> Bool {
        guard tunnel.hasQueued else { return false }
        if drainUntil == nil {
            drainUntil = now.instant + Self.mostDrain
            try? epoll.remove(device.descriptor)
        }
        return drainUntil.map { now.instant < $0 } ?? false
    }

    /// Why it did not come to that.
    private mutating func tryToHandOver(_ handover: Handover) -> String? {
        guard isServing else { return "it is not up yet, or goes down" }
        guard let times = rest() else { return "the handshake thread is busy" }
        let now = Self.now()
        let length = handover.write { state in
            writeState(to: &state, handover)
            tunnel.writeState(to: &state, times, at: now)
        }
        guard length != nil else { return "the state has grown meanwhile" }
        do throws(SystemError) {
            try handover.give(.device, device.descriptor)
            if let descriptor = sockets.v4?.descriptor { try handover.give(.v4, descriptor) }
            if let descriptor = sockets.v6?.descriptor { try handover.give(.v6, descriptor) }
            if let descriptor = retired.v4?.descriptor { try handover.give(.retiredV4, descriptor) }
            if let descriptor = retired.v6?.descriptor { try handover.give(.retiredV6, descriptor) }
            if let keeper { try handover.give(.keeper, keeper.descriptor) }
            return try handover.finish(signals: signals)
        } catch {
            return error.number == ECONNRESET || error.number == EPIPE ? "the new process ended" : "\(error)"
        }
    }

    /// Brings all that is under way to its end; what the handshake thread knows.
    private mutating func rest() -> [PeerID: HandshakeTimes]? {
        let now = Self.now()
        for _ in 0..<Self.mostRounds where tunnel.hasKept { handleKept(at: now) }
        for _ in 0..<Self.mostRounds {
            guard tunnel.releaseHeld(at: now) else { break }
            write()
        }
        sendGathered(at: now)
        flush()
        while let job = tunnel.pollHandshake() {
            if !handshakes.post(job) { refused.handshakes += 1 }
        }
        guard handshakes.post(.tellTimes) else { return nil }
        let end = bootTime() + Int64(Self.patience) * 1_000_000
        var times: [PeerID: HandshakeTimes]?
        while times == nil, bootTime() < end {
            results.wait(milliseconds: 100)
            for result in results.takeAll() {
                if case .times(let told) = result { times = told } else { take(result, at: now) }
            }
        }
        sendGathered(at: now)
        flush()
        return times
    }

    /// Writes the loop's own part of the state.
    private mutating func writeState(to state: inout StateWriter, _ handover: Handover) {
        handover.writeFirst(to: &state)
        state.put(mark)
        state.put(sockets.v4?.overflows ?? 0)
        state.put(sockets.v6?.overflows ?? 0)
        state.put(lossesAtStart.overflows)
        state.put(lossesAtStart.checksums)
        for count in [refused.packets, refused.datagrams, refused.checksums, refused.unread, refused.handshakes] {
            state.put(count)
        }
        state.put(optional: retiredUntil) { $0.put($1) }
    }

    // MARK: In the new process

    /// Takes over what `writeState` wrote, but for the mark and the sockets' own counters.
    mutating func adopt(_ kept: KeptLoop) {
        mark = kept.mark
        lossesAtStart = kept.lossesAtStart
        refused = kept.refused
        if retired.port != 0 { retiredUntil = kept.retiredUntil ?? Self.now().instant }
    }

    /// Tells the supervisor's line who was in touch before.
    func resume(_ pulse: inout Pulse?) { pulse?.resume(tunnel, at: Self.now()) }

    /// Waits for the sockets of the port before as well.
    mutating func watchRetired() throws(SystemError) {
        if let descriptor = retired.v4?.descriptor { try epoll.add(descriptor, token: Source.retiredV4.rawValue) }
        if let descriptor = retired.v6?.descriptor { try epoll.add(descriptor, token: Source.retiredV6.rawValue) }
    }

    /// Follows the processes before: what they are signalled is for this one.
    mutating func follow(keeper: MessageChannel?, predecessor: MessageChannel?) throws(SystemError) {
        if let keeper { try epoll.add(keeper.descriptor, token: Source.keeper.rawValue) }
        if let predecessor { try epoll.add(predecessor.descriptor, token: Source.predecessor.rawValue) }
        self.keeper = keeper
        self.predecessor = predecessor
    }

    /// A signal to the process that stayed. Its end is this one's.
    mutating func readKeeper(_ course: inout Course, _ chores: Chores) {
        guard let channel = keeper else { return }
        if let signal = Handover.signal(from: channel) { return take(signal: signal, &course, chores) }
        try? epoll.remove(channel.descriptor)
        keeper = nil
        course.end(.signal)
    }

    /// A signal that came to the process before while it handed over.
    mutating func readPredecessor(_ course: inout Course, _ chores: Chores) {
        guard let channel = predecessor else { return }
        if let signal = Handover.signal(from: channel) { return take(signal: signal, &course, chores) }
        try? epoll.remove(channel.descriptor)
        predecessor = nil
    }
}

/// The loop's part of a state that was read.
struct KeptLoop {
    let mark: UInt32
    let dropped: (v4: UInt32, v6: UInt32)
    private(set) var lossesAtStart = UDPLosses()
    private(set) var refused = RefusedCounters()
    let retiredUntil: Instant?

    init(_ state: inout StateReader) throws(StateProblem) {
        mark = try state.number()
        let v4 = try state.number(UInt32.self)
        dropped = (v4, try state.number())
        lossesAtStart.overflows = try state.number()
        lossesAtStart.checksums = try state.number()
        refused.packets = try state.number()
        refused.datagrams = try state.number()
        refused.checksums = try state.number()
        refused.unread = try state.number()
        refused.handshakes = try state.number()
        let all = UInt64(dropped.v4) + UInt64(dropped.v6)
        let most = max(refused.packets, refused.datagrams, refused.handshakes)
        guard most < 1 << 62, refused.checksums <= all else { throw .implausible("a count") }
        refused.received = all - refused.checksums
        retiredUntil = try state.optional { state throws(StateProblem) in try state.instant() }
    }
}
