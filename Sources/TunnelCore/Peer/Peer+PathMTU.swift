import Addresses

// The path MTU (docs/protocol.md §3.7): how large datagrams to a peer may be, found by padded PINGs, and told to those inside whose
// packets can't be carried.

extension Peer {
    /// The largest packet inside that gets to the peer as far as is known.
    func largestPacket(_ services: borrowing Services) -> Int {
        let mtu = services.egress.sizes.mtu
        guard mtu > pathMTU.limit.payload else { return mtu }
        if let session = keypairs.current, takesPacks(on: session, services) { return mtu }
        if acquaintance.heard?.records.isSuperset(of: .pieces) == true { return mtu }
        // WireGuard pads what it sends to 16, as far as its own MTU goes.
        return pathMTU.limit.payload & ~(Limits.padding - 1)
    }

    // MARK: The search

    /// Notes that data of so many bytes was sent.
    @inline(__always)
    mutating func noteDataOnPath(_ size: Int, _ services: inout Services) {
        if pathMTU.isInteresting(size) { lookAtPath(&services) }
    }

    @inline(never)
    private mutating func lookAtPath(_ services: inout Services) {
        guard pathMTU.sizes.ceiling > 0 else {
            pathMTU.sleep()
            guard !isRouteAsked else { return }
            isRouteAsked = true
            return services.routeQuestions.append(id.slot)
        }
        guard answersPings(services) else { return pathMTU.sleep() }
        armPath(pathMTU.noteData(at: services.now.instant), &services)
    }

    /// Whether padded PINGs are answered on the newest session.
    private func answersPings(_ services: borrowing Services) -> Bool {
        guard let session = keypairs.current else { return false }
        return services.sessions[session].hello.records.contains(.ping)
    }

    private mutating func armPath(_ instant: Instant?, _ services: inout Services) {
        guard let instant else { return }
        if !timers.isArmed(.pathMTU) || timers[.pathMTU] > instant { arm(.pathMTU, at: instant, &services.schedule) }
    }

    /// Goes on with the search, or looks whether large datagrams arrive.
    mutating func searchPath(_ services: inout Services) {
        guard let session = keypairs.current, path != nil, services.sessions[session].canSend(at: services.now.instant),
            answersPings(services)
        else {
            pathMTU.expireUnasked(at: services.now.instant)
            return pathMTU.sleep()
        }
        // Not the tokens of other PINGs.
        let token = (UInt64(bitPattern: services.now.instant.nanoseconds) &+ services.clockOffsets.ping) ^ 1 << 63
        let (round, next) = pathMTU.advance(
            PathMTU.Moment(now: services.now.instant, roundTrip: quality.usualTrip, token: token, sent: sent))
        if let round { ask(round, on: session, &services) }
        armPath(next, &services)
        guard let news = pathMTU.news else { return }
        pathMTU.news = nil
        services.note(.pathMTU(publicKey, news))
    }

    private mutating func ask(_ round: PathRound, on session: SessionSlot, _ services: inout Services) {
        for (index, size) in [round.sizes.0, round.sizes.1, 0].enumerated() where size > 0 || index == 2 {
            var ping = PingRecord(isAnswer: false, token: round.token &+ UInt64(index))
            ping.size = size > 0 ? pathMTU.sizes.payload(of: size) : PingRecord.leastPadded
            _ = transmit(.control(.ping(ping)), on: session, &services)
        }
    }

    /// Takes the answer to a PING that was not the usual question; and goes on.
    mutating func receivePathAnswer(_ token: UInt64, _ services: inout Services) {
        armPath(pathMTU.take(answer: token, at: services.now.instant), &services)
    }

    /// Takes what the peer's last report says of the datagrams between it and the one before.
    mutating func noteReported(_ services: inout Services) {
        guard let arrived = quality.takeArrived() else { return }
        armPath(
            pathMTU.noteArrived(
                arrived.datagrams, of: arrived.expected, bytes: arrived.bytes, at: services.now.instant), &services)
    }

    // MARK: The route

    /// Takes the MTU of our interface on the way to the peer, and what the route is said to take.
    mutating func setRouteMTU(_ mtu: Int, route: Int, _ services: inout Services) {
        guard let path else { return }
        pathMTU.begin(ceiling: mtu, route: route, isV4: path.remote.address.isV4)
        pathMTU.wake()
    }

    /// The way there may be another one: it is asked for again, and until then what is known holds.
    mutating func forgetRoute(_ services: inout Services) {
        guard isRouteAsked else { return }
        services.routeQuestions.append(id.slot)
    }

    // MARK: ICMP

    /// Takes an ICMP error that says that a datagram was too big; `quote` is the beginning of that datagram, as far as it is quoted.
    mutating func noteTooBig(_ mtu: Int, quote: RawSpan, _ services: inout Services) {
        let isBelievable = isOurs(quote: quote, services)
        let now = services.now.instant
        guard answersPings(services) else {
            armPath(pathMTU.takeTooBigUnasked(mtu, isBelievable: isBelievable, at: now), &services)
            guard let news = pathMTU.news else { return }
            pathMTU.news = nil
            return services.note(.pathMTU(publicKey, news))
        }
        armPath(pathMTU.takeTooBig(mtu, isBelievable: isBelievable, at: now), &services)
    }

    /// Whether somebody has seen one of the last messages that we sent: who can't see them knows neither index nor counter (RFC 8085
    /// §5.2).
    private func isOurs(quote: RawSpan, _ services: borrowing Services) -> Bool {
        guard quote.byteCount >= Transport.headerSize, quote.little32(at: 0) == Transport.type else { return false }
        let index = ReceiverIndex(rawValue: quote.little32(at: Transport.receiver))
        let counter = quote.little64(at: Transport.counter)
        for slot in [keypairs.current, keypairs.previous, keypairs.next] {
            guard let slot else { continue }
            for suite in [CipherSuite.chacha20poly1305, .aes256gcm] {
                let next = services.sessions[slot][suite].sendCounter
                guard services.sessions[slot][suite].remoteIndex == index else { continue }
                return counter < next && next - counter <= PathMTU.memory
            }
        }
        return false
    }

    /// Our own interface took a datagram only in pieces, or not at all.
    mutating func noteDivided(_ services: inout Services) {
        guard answersPings(services) else { return }
        armPath(pathMTU.noteDivided(at: services.now.instant), &services)
    }
}
