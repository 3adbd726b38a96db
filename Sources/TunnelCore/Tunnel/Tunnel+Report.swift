import BasicContainers

// REPORT and PING: what the way to a peer is like (docs/protocol.md §3.6 and §3.7). Like a keepalive to every timer.

extension Tunnel {
    /// Tells a peer what has arrived on a lane, if it wants to know and that is due.
    @inline(__always)
    mutating func reportIfDue(_ slot: Int32, _ session: Int32, _ suite: CipherSuite, at now: Now) {
        guard sessions[session].isReportDue(on: suite, at: now.instant) else { return }
        report(slot, session, suite, at: now)
    }

    @inline(never)
    private mutating func report(_ slot: Int32, _ session: Int32, _ suite: CipherSuite, at now: Now) {
        let report = sessions[session].report(on: suite, at: now.instant, offset: clockOffsets.report)
        sendRecord(Record.headerSize + ReportRecord.bodySize, slot, session, at: now) { report.write(to: &$0) }
    }

    /// Takes the peer's report, and asks how long the way is if that is due.
    mutating func receive(_ report: ReportRecord, _ slot: Int32, _ session: Int32, at now: Now) {
        peers[Int(slot)].link.take(report, on: sessions[session].wireGuard.localIndex)
        guard sessions[session].hello.records.contains(.ping),
            let token = peers[Int(slot)].link.ask(
                sent: peers[Int(slot)].sent, at: now.instant, offset: clockOffsets.ping)
        else { return }
        let ping = PingRecord(isAnswer: false, token: token)
        sendRecord(Record.headerSize + PingRecord.bodySize, slot, session, at: now) { ping.write(to: &$0) }
    }

    /// Answers a question, or takes the answer to ours.
    mutating func receive(_ ping: PingRecord, _ slot: Int32, _ session: Int32, at now: Now) {
        guard !ping.isAnswer else { return peers[Int(slot)].link.take(answer: ping.token, at: now.instant) }
        guard sessions[session].hello.records.contains(.ping) else { return }
        let answer = PingRecord(isAnswer: true, token: ping.token)
        sendRecord(Record.headerSize + PingRecord.bodySize, slot, session, at: now) { answer.write(to: &$0) }
    }

    /// Sends a record that is no data, on the lane that data goes on.
    private mutating func sendRecord(
        _ size: Int, _ slot: Int32, _ session: Int32, at now: Now, _ write: (inout MutableRawSpan) -> Int
    ) {
        guard let path = peers[Int(slot)].path, sessions[session].canSend(at: now.instant) else { return }
        let limits = RecordLimits(mtu: payloadSize, fragments: false)
        let sent = chain.outbound(
            size, limits, 0, on: &sessions[session].forData, to: Destination(path: path, peer: slot), into: &outbox,
            write)
        guard sent > 0 else { return drops.count(.overflow) }
        peers[Int(slot)].sent &+= UInt64(sent)
        noteAuthenticatedSent(slot, at: now)
    }
}
