import BasicContainers

// Parity (docs/protocol.md §3.11): where a round trip is too late, lost datagrams are had back from what came beside them.

extension Peer {
    /// Ends all that is kept for repair.
    func endRepair(_ services: inout Services) {
        services.egress.sent.end(id.slot)
        services.egress.parity.end(id.slot)
        services.ingress.opener.parity.end(id.slot)
    }

    // MARK: Out

    /// Sets how much parity is sent; what was announced is unsaid by a new session.
    mutating func setParity(_ wish: ParityWish, _ services: inout Services) {
        guard wish != repair.parity.wish else { return }
        let before = announcement(services.cargo)
        repair.parity.wish = wish
        services.egress.parity.end(id.slot)
        if announcement(services.cargo) != before { beginAnew(&services) }
    }

    /// Decides, by the peer's word of what got lost, how much parity pays.
    mutating func adaptParity(to receipt: ReceiptRecord, on session: SessionSlot, _ services: inout Services) {
        repair.parity.take(receipt)
        guard services.sessions[session].hello.records.contains(.parity), !repair.leaving.isFast else {
            return repair.parity.stop()
        }
        let bytes =
            services.egress.queue.holds(id.slot)
            ? services.egress.queue.bytes(for: id.slot, in: .milliseconds(100)) : repair.leaving.bytesPerWindow
        let size = Transport.outerHeaders + Transport.overhead + services.egress.sizes.mtu
        repair.parity.decide(
            ParityPolicy.Conditions(
                trip: quality.shortestTrip, isQueued: isCongested(services), rate: Double(bytes * 10 / size)))
        if repair.parity.plan == nil { services.egress.parity.end(id.slot) }
    }

    /// Sends the rows of the blocks that are closed; the bytes that took.
    @discardableResult
    mutating func sendParity(on session: SessionSlot, _ services: inout Services) -> Int {
        var all = 0
        while let block = services.egress.parity.firstClosed(of: id.slot) {
            var sent = 0
            for row in 0..<block.rows {
                let record = ParityRecord(
                    isAES: services.sessions[session].aes.isOpen, start: block.start, mask: block.mask, row: row,
                    rows: block.rows)
                let size = transmit(.parity(record, length: block.longest), on: session, &services)
                guard size > 0 else { break }
                sent += size
                repair.paritySent &+= 1
            }
            services.egress.parity.removeFirst(of: id.slot, sent: sent)
            repair.parityBytes &+= UInt64(sent)
            all += sent
        }
        return all
    }

    /// Sends parity of the data that nothing followed, which shows what is missing and gives it back; false if there is none, or if too
    /// much was sent.
    mutating func sendEarlyParity(on session: SessionSlot, _ services: inout Services) -> Bool {
        guard services.egress.parity.openCount(of: id.slot) > 0 else { return false }
        services.egress.parity.close(id.slot)
        return sendParity(on: session, &services) > 0
    }

    // MARK: In

    /// Takes a row of parity: `age` is how long ago the first datagram of its block came.
    mutating func receiveParity(age: Interval?, on session: SessionSlot, _ services: inout Services) {
        services.sessions[session].hello.receiveRecord()
        guard repair.isWanted else { return }
        repair.gaps.noteParity(after: age, at: services.now.instant)
        solve(&services)
    }

    /// Keeps the datagram that was opened last, which parity may need.
    @inline(never)
    mutating func keepForParity(_ datagram: RawSpan, _ services: inout Services) {
        let index = ReceiverIndex(rawValue: datagram.little32(at: Transport.receiver))
        let isAwaited = services.ingress.opener.parity.keep(
            datagram.little64(at: Transport.counter), on: index, length: datagram.byteCount, of: id.slot,
            at: services.now.instant)
        if isAwaited { solve(&services) }
    }

    private mutating func solve(_ services: inout Services) {
        // More is missing than parity gives: there is nothing to wait for.
        guard let hopeless = services.ingress.opener.parity.solve(id.slot, at: services.now.instant) else { return }
        repair.gaps.askAtOnce(for: hopeless, roundTrip: quality.usualTrip, at: services.now.instant)
        armReceipt(&services)
    }

    /// Notes a datagram that parity gave back.
    mutating func noteRebuilt(_ datagram: RawSpan, _ services: inout Services) {
        repair.gaps.noteRebuilt(datagram.little64(at: Transport.counter), at: services.now.instant)
        armReceipt(&services)
    }
}
