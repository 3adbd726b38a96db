import BasicContainers

// Repair (docs/protocol.md §3.10): what the path loses is asked for by counter, and the same sealed bytes are sent again before TCP
// notices. What got lost in a queue is let be seen, once a round trip.

extension Peer {
    /// Whether the peer takes part in it on a session.
    @inline(__always)
    func repairs(on session: SessionSlot, _ services: borrowing Services) -> Bool {
        services.sessions[session].hello.records.isSuperset(of: .repair) && repair.isWanted
    }

    // MARK: Out

    /// Keeps what was appended to the outbox since `mark`, to send it again when it is missed; `stream`: it is a unit of that one.
    @inline(never)
    mutating func keepSent(
        since mark: Outbox.Mark, isData: Bool, of stream: Int?, on session: SessionSlot, _ services: inout Services
    ) {
        let now = services.now.instant
        guard keypairs.current == session, let lane = services.sessions[session].dataIndex else { return }
        if !services.egress.sent.keeps(id.slot) || services.egress.sent.lane(of: id.slot) != lane {
            services.egress.sent.begin(lane, of: id.slot)
        }
        let plan = isData ? repair.parity.plan : nil
        if plan != nil { services.egress.parity.begin(lane, of: id.slot) }
        let trip = quality.roundTrip?.nanoseconds ?? 100_000_000
        let horizon = Instant(nanoseconds: now.nanoseconds - 8 * trip - 200_000_000)
        for index in mark.run..<services.egress.outbox.count {
            let run = services.egress.outbox[index]
            var offset = run.offset
            while offset < run.offset + run.length {
                let size = min(run.segment, run.offset + run.length - offset)
                if offset >= mark.used {
                    // The compiler takes it to borrow all that is shared, not the outbox alone.
                    let bytes = unsafe _overrideLifetime(
                        services.egress.outbox.bytes(offset..<offset + size), copying: ())
                    services.egress.sent.append(
                        bytes, of: stream, to: id.slot, trafficClass: run.trafficClass, at: now, horizon: horizon)
                    if let plan {
                        services.egress.parity.add(bytes, to: id.slot, plan)
                    }
                }
                offset += size
            }
        }
        if plan != nil { sendParity(on: session, &services) }
        // What can be marked is sent again all the same, with a mark.
        let count = services.egress.outbox.count
        if isData, count > 0, !CongestionBits(rawValue: services.egress.outbox[count - 1].trafficClass & 3).isCapable {
            sayQueue(on: session, &services)
        }
    }

    /// Says, while a queue stands on the path, that what gets lost now will not be sent again, by a GONE of nothing: nobody waits a round trip
    /// to learn that, and TCP slows down when others on the path do.
    private mutating func sayQueue(on session: SessionSlot, _ services: inout Services) {
        let now = services.now.instant
        guard now - repair.queueSaidAt >= RepairState.queueWord,
            sent &- repair.sentAtQueue >= RepairState.bytesPerQueueWord,
            isCongested(services)
        else { return }
        repair.queueSaidAt = now
        repair.sentAtQueue = sent
        let gone = GoneRecord(
            isAES: services.sessions[session].aes.isOpen, below: services.sessions[session].nextCounter)
        _ = transmit(.control(.gone(gone)), on: session, &services)
    }

    /// Whether what is sent on a session is kept: in front of a thin link, and for a while after a loss. A path that loses nothing costs nothing.
    @inline(__always)
    func keepsSent(on session: SessionSlot, _ services: borrowing Services) -> Bool {
        guard repairs(on: session, services) else { return false }
        let isLossy = services.now.instant - repair.lossAt < RepairState.memory
        return (isLossy || repair.parity.isAlways) && !repair.leaving.isFast
            || services.egress.queue.isUsed && services.egress.queue.isThin(to: id.slot)
    }

    /// The last data of a burst has nothing behind it that would show it missing: something follows it after a moment of silence.
    mutating func armProbe(_ services: inout Services) {
        guard services.now.instant - repair.lossAt < RepairState.memory else { return }
        repair.probeOwed = true
        let deadline = services.now.instant + Limits.probeAfter
        if timers.isArmed(.probe) { timers[.probe] = deadline } else { arm(.probe, at: deadline, &services.schedule) }
    }

    /// Sends a message with nothing inside, which shows what is missing before it.
    mutating func sendProbe(_ services: inout Services) {
        guard repair.probeOwed, let session = keypairs.current, path != nil,
            services.sessions[session].canSend(at: services.now.instant)
        else { return }
        // What waits for the link comes first, sealed or not: what overtakes it makes it look lost.
        guard !services.egress.queue.isWaiting(for: id.slot) else {
            return arm(.probe, at: services.now.instant + Limits.probeAfter, &services.schedule)
        }
        repair.probeOwed = false
        // What is lost in a queue is not sent again, and among the packets that find it full even a small one tips the balance between us and
        // others.
        guard !isCongested(services) else { return timers.disarm(.probe) }
        if !sendEarlyParity(on: session, &services) { _ = transmit(.keepalive, on: session, &services) }
        timers.disarm(.probe)
        repair.probeOwed = false
    }

    /// Takes the peer's word of what has arrived, and sends again what it misses.
    mutating func receive(_ receipt: ReceiptRecord, on session: SessionSlot, _ services: inout Services) {
        guard repairs(on: session, services) else { return }
        let now = services.now.instant
        let report = quality.take(receipt, on: services.sessions[session].wireGuard.localIndex)
        takeWord(report, age: Interval(nanoseconds: Int64(receipt.age) * 1000), on: session, &services)
        noteReported(&services)
        if let lane = services.sessions[session].dataIndex, lane == services.egress.sent.lane(of: id.slot),
            receipt.isAES == services.sessions[session].aes.isOpen,
            let departed = services.egress.sent.departure(of: receipt.highest, to: id.slot)
        {
            let trip = Interval(nanoseconds: (now - departed).nanoseconds - Int64(receipt.age) * 1000)
            if trip.nanoseconds > 0 { quality.note(sample: trip, at: now) }
        }
        adaptParity(to: receipt, on: session, &services)
        if !keepsSent(on: session, services) {
            services.egress.sent.end(id.slot)
            services.egress.parity.end(id.slot)
        }
        if !services.egress.sent.keeps(id.slot) { askIfDue(on: session, &services) }
        guard !receipt.missing.isEmpty else { return }
        repair.lossAt = now
        var gone = GoneRecord(isAES: receipt.isAES, below: receipt.highest)
        // Those that will not come, one below the other.
        var run: Range<UInt64>?
        var work = Limits.resendsAtOnce
        for index in 0..<receipt.missing.count {
            for counter in receipt.missing[index].reversed() where work > 0 {
                work -= 1
                guard !resend(counter, on: session, &services) else { continue }
                repair.gone &+= 1
                if let below = run, counter + 1 == below.lowerBound {
                    run = counter..<below.upperBound
                } else {
                    say(run, on: session, in: &gone, &services)
                    run = counter..<counter + 1
                }
            }
        }
        say(run, on: session, in: &gone, &services)
        if !gone.gone.isEmpty { _ = transmit(.control(.gone(gone)), on: session, &services) }
    }

    /// Adds to what will not come; what is full is sent before.
    private mutating func say(
        _ run: Range<UInt64>?, on session: SessionSlot, in gone: inout GoneRecord, _ services: inout Services
    ) {
        guard let run, !gone.gone.append(run) else { return }
        _ = transmit(.control(.gone(gone)), on: session, &services)
        gone = GoneRecord(isAES: gone.isAES, below: gone.end)
        _ = gone.gone.append(run)
    }

    /// A queue stands on the path. Where ours is the queue, it takes more to believe that there is another one.
    func isCongested(_ services: borrowing Services) -> Bool {
        quality.queueing > .milliseconds(services.egress.queue.holds(id.slot) ? 25 : 10)
    }

    /// Sends a datagram again, unless that is under way; false if it will not be sent again.
    private mutating func resend(_ counter: UInt64, on session: SessionSlot, _ services: inout Services) -> Bool {
        let now = services.now.instant
        guard services.egress.sent.keeps(id.slot), let kept = services.egress.sent.find(counter, of: id.slot),
            let path
        else { return false }
        // It has not left, or left so lately that nobody can miss it.
        let trip = quality.shortestTrip ?? Interval(nanoseconds: 0)
        let slack = min(Limits.probeAfter, Interval(nanoseconds: trip.nanoseconds / 4))
        guard kept.departedAt != .distantFuture, kept.departedAt + trip <= now + slack else { return true }
        guard !kept.isLeft else { return false }
        // A queue was full: that is for TCP to see.
        let isTold = isCongested(services)
        let isCapable = CongestionBits(rawValue: kept.trafficClass).isCapable
        if isTold {
            if kept.tries == 0 { repair.told &+= 1 }
            guard isCapable || kept.stream != nil else {
                services.egress.sent.leave(counter, of: id.slot)
                return false
            }
        }
        guard services.egress.outbox.takes(kept.length),
            services.egress.sent.pay(for: kept, counter, of: id.slot, at: now)
        else { return false }
        // The units behind it need it all the same: its flow sees the loss of another packet instead.
        if isTold, !isCapable, let stream = kept.stream {
            services.egress.streams.noteCongestion(of: stream, roundTrip: quality.roundTrip, at: now)
        }
        let size = services.egress.resend(
            kept, isMarked: isTold && isCapable, to: Destination(path: path, peer: id.slot, limit: pathMTU.limit))
        sent &+= UInt64(size)
        repair.resent &+= 1
        repair.resentBytes &+= UInt64(size)
        if services.egress.queue.isUsed {
            services.egress.queue.charge(size, datagrams: 1, to: id.slot, at: now)
        }
        return true
    }

    // MARK: In

    /// Whether the order of the peer's TCP packets is followed, and they wait for what was lost before them: little comes, or something got
    /// lost lately; and the peer repairs.
    @inline(__always)
    func ordersPackets(at now: Instant) -> Bool {
        repair.gaps.index != nil && repair.isWanted
            // The peer has sent something again, and did not say twice since that something would not come: once says little, it may have
            // been a probe.
            && repair.gaps.repairedAt > .distantPast && repair.gaps.abandons < 2
            && now - repair.queueHeardAt >= RepairState.queueWordHolds
            && (repair.arriving.isSlow
                || !repair.arriving.isFast && now - repair.gaps.repairedAt < RepairState.memory)
    }

    /// Whether datagrams of the peer's got lost lately.
    @inline(__always)
    func isLossy(_ services: borrowing Services) -> Bool {
        services.now.instant - repair.gaps.missedAt < RepairState.memory
    }

    /// Notes the counter of a message that came for the first time; what it was.
    @inline(__always)
    mutating func noteArrival(
        of datagram: RawSpan, isBeside: Bool, on lane: LaneSlot, _ services: inout Services
    ) {
        guard repairs(on: lane.session, services) else { return }
        let counter = datagram.little64(at: Transport.counter)
        let index = ReceiverIndex(rawValue: datagram.little32(at: Transport.receiver))
        repair.arriving.note(datagram.byteCount, at: services.now.instant)
        if repair.gaps.index != index { guard follow(lane, index, services) else { return } }
        // The peer keeps nothing that it could send again.
        guard !repair.arriving.isFast else { return repair.gaps.pass(counter, at: services.now.instant) }
        let arrival =
            isBeside
            ? repair.gaps.noteBeside(counter, at: services.now.instant, roundTrip: quality.usualTrip)
            : repair.gaps.note(counter, at: services.now.instant, roundTrip: quality.usualTrip)
        guard arrival != .next else { return }
        if arrival == .ahead { armReceipt(&services) }
    }

    /// Follows the peer to the lane that it sends data on now; false if this one is not that.
    @inline(never)
    private mutating func follow(_ lane: LaneSlot, _ index: ReceiverIndex?, _ services: borrowing Services) -> Bool {
        guard lane.session == keypairs.current || keypairs.current == nil else { return false }
        // HELLO always comes on WireGuard's.
        if lane.suite != .aes256gcm, services.sessions[lane.session].aes.isOpen { return false }
        repair.gaps.begin(lane, index)
        return true
    }

    mutating func armReceipt(_ services: inout Services) {
        guard let due = repair.gaps.nextDue else { return timers.disarm(.receipt) }
        arm(.receipt, at: due, &services.schedule)
    }

    /// Asks for what is missing.
    mutating func askForMissing(_ services: inout Services) {
        guard let lane = repair.gaps.lane, isAlive(lane, services) else { return repair.gaps.begin(nil) }
        let missing = repair.gaps.ask(
            at: services.now.instant, roundTrip: quality.usualTrip,
            mostAsks: services.ingress.opener.holdsUnits(of: id.slot) ? Gaps.mostAsksForUnits : Gaps.mostAsks)
        if !missing.isEmpty {
            sendReceipt(missing, on: lane, &services)
            // A question that gets lost itself costs more than a round trip, a second one very little.
            sendReceipt(missing, on: lane, &services)
        }
        armReceipt(&services)
    }

    /// Whether the lane that is followed is still one of the peer's.
    private func isAlive(_ lane: LaneSlot, _ services: borrowing Services) -> Bool {
        guard keypairs.has(lane.session) else { return false }
        let index =
            lane.suite == .aes256gcm
            ? services.sessions[lane.session].aes.localIndex : services.sessions[lane.session].wireGuard.localIndex
        return index == repair.gaps.index
    }

    /// Tells the peer what has come on a lane.
    mutating func sendReceipt(_ missing: CounterRanges?, on lane: LaneSlot, _ services: inout Services) {
        guard path != nil, services.sessions[lane.session].canSend(at: services.now.instant) else { return }
        var receipt = services.sessions[lane.session].receipt(
            on: lane.suite, at: services.now.instant, offset: services.clockOffsets.report)
        if lane == repair.gaps.lane {
            receipt.highest = repair.gaps.highest
            receipt.missing = missing ?? CounterRanges(below: repair.gaps.highest)
            let counts = repair.gaps.counts
            receipt.lost = UInt32(truncatingIfNeeded: counts.lost)
            receipt.runs = UInt32(truncatingIfNeeded: counts.runs)
            receipt.rebuilt = UInt32(truncatingIfNeeded: counts.rebuilt)
            let age = services.now.instant - repair.gaps.highestAt
            receipt.age = UInt32(clamping: age.nanoseconds / 1000)
            receipt.clock = receipt.clock &- receipt.age
        }
        _ = transmit(.control(.receipt(receipt)), on: lane.session, &services)
    }

    /// Takes the peer's word that something won't come.
    mutating func receive(_ gone: GoneRecord, on session: SessionSlot, _ services: inout Services) {
        guard repairs(on: session, services), let lane = repair.gaps.lane, lane.session == session,
            isAlive(lane, services), (repair.gaps.lane?.suite == .aes256gcm) == gone.isAES
        else { return }
        guard !gone.gone.isEmpty else {
            repair.queueHeardAt = services.now.instant
            return
        }
        repair.gaps.abandon(gone.gone)
        armReceipt(&services)
    }
}
