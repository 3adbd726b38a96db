public import Addresses
public import Keys

/// The statistics of one peer.
public struct PeerStatistics: Sendable {
    public let id: PeerID
    public let publicKey: PublicKey
    public let presharedKey: PresharedKey?
    public let endpoint: Endpoint?
    public var allowedIPs: [Prefix] = []
    public let persistentKeepalive: Interval?
    public let lastHandshake: WallTime?
    /// Sessions that were made, whoever asked for them.
    public let handshakes: UInt64
    /// It says on the session what a gateway says, or nothing although it was asked for it; `nil`: it was not asked yet.
    public let isGateway: Bool?
    /// UDP payload of everything authentic, as `wg` counts.
    public let received: UInt64
    public let sent: UInt64
    public let compression: CompressionPolicy
    /// The cipher that data is sealed with now.
    public let cipher: CipherSuite
    /// The configuration demands AES-256-GCM and the peer can't do it, or has said nothing of it: nothing is sent.
    public let refusesCipher: Bool
    /// It has said nothing yet on the session that a gateway says.
    public let saysNothing: Bool
    /// The current session allows compressed units to the peer.
    public let compresses: Bool
    public let traffic: CompressionCounters
    /// How long the way there and back takes; `nil` if nobody has asked yet.
    public let roundTrip: Interval?
    /// We carry Ethernet frames and the peer takes none, or the other way round.
    public let carriesOther: Bool
    /// The Ethernet addresses that were learned at the peer.
    public var addresses: [MACAddress] = []
    /// The part of the datagrams to the peer that got lost lately.
    public let loss: Double
    public let drops: DropCounters
    /// What is sent to it waits in front of a link with a rate.
    public let isShaped: Bool
    /// Its own rate in bits a second; `nil`: it has none.
    public let rate: UInt64?
    /// The rate that is found; `nil`: it is not looked for.
    public let foundRate: FoundRate?
    /// What waits for it in front of a link with a rate, and how many packets were marked there.
    public let queuedPackets: Int
    public let queuedBytes: Int
    public let marks: UInt64
    /// What was seen of that queue in the last seconds.
    public let queue: QueueLog.Summary?
    /// The repair of what the path loses, both ways; `nil`: the peer takes no part in it.
    public let repair: RepairStatistics?
    /// Units that refer to those before them, both ways; `nil`: the peer takes none.
    public let history: HistoryStatistics?
    /// How fast it says that it can be sent to, in bits a second.
    public let toldRate: UInt64?
    /// How large datagrams to it may be; `nil`: nobody has asked for the way yet.
    public let pathMTU: PathStatistics?
    /// The last problem, and when it was last seen.
    public let problem: (PeerProblem, WallTime)?
    /// The key exchange of the current session; `nil`: there is none.
    public let keyExchange: KeyExchangeStatistics?

    public var hasPresharedKey: Bool { presharedKey != nil }
}

/// A rate that is found by what the peer says of what arrives, in bits a second.
public final class FoundRate: Sendable {
    public let rate: UInt64
    public let least: UInt64
    public let most: UInt64
    /// The peer says nothing of what arrives: it is the least.
    public let isUnheard: Bool

    init(rate: UInt64, least: UInt64, most: UInt64, isUnheard: Bool) {
        self.rate = rate
        self.least = least
        self.most = most
        self.isUnheard = isUnheard
    }
}

/// The key exchange of a peer's current session.
public struct KeyExchangeStatistics: Sendable {
    /// It was made with a key that a quantum computer does not find.
    public let isAgreed: Bool
    /// How long ago the newest such key was agreed on; `nil`: there is none.
    public let age: Interval?
    /// Bytes on the wire that went into agreeing; `nil`: it is not wanted.
    public let bytes: UInt64?
    public let policy: KeyExchangePolicy
    public let stage: KeyExchangeStage
    /// Exchanges and questions of ours in a row that nothing answered, and answers of ours that nothing followed.
    public let unanswered: UInt32
    public let inVain: UInt32
}

/// The path MTU of one peer, in bytes of the IP packet outside.
public struct PathStatistics: Sendable {
    public let mtu: Int
    public let source: PathSource
    public let phase: PathPhase
    /// How often large datagrams vanished without a word, and ICMP errors that were not believed.
    public let blackHoles: UInt64
    public let ignored: UInt64
}

/// The repair of what the path loses, of one peer. A class, since few peers have it, and statistics of thousands are copied.
public final class RepairStatistics: Sendable {
    /// Datagrams of ours that were sent again, their bytes, those that were not, since TCP had to see a full queue, and those that were
    /// there no more or would have been too many.
    public let resent: UInt64
    public let resentBytes: UInt64
    public let told: UInt64
    public let gone: UInt64
    /// Datagrams of the peer's that were asked for, those of them that came, and those that did not.
    public let lost: UInt64
    public let repaired: UInt64
    public let givenUp: UInt64
    /// Those that parity gave back; they are among `lost`.
    public let rebuilt: UInt64
    /// Rows of parity that were sent, and their bytes.
    public let parity: UInt64
    public let parityBytes: UInt64
    /// TCP packets of the peer's that wait for a repair, or did.
    public let held: ReorderStatistics

    init(_ state: RepairState, held: ReorderStatistics) {
        resent = state.resent
        resentBytes = state.resentBytes
        told = state.told
        gone = state.gone
        lost = state.gaps.counts.lost
        repaired = state.gaps.counts.repaired
        givenUp = state.gaps.counts.givenUp
        rebuilt = state.gaps.counts.rebuilt
        parity = state.paritySent
        parityBytes = state.parityBytes
        self.held = held
    }
}

/// Units that refer to those before them, of one peer.
public final class HistoryStatistics: Sendable {
    /// Streams of the machine now: those that we send, and decoders for those of peers; and the bytes that they take.
    public let streams: Int
    public let decoders: Int
    public let memory: Int
    /// Dictionaries of the machine now: those that our units refer to, and those that peers' do.
    public let dictionaries: Int
    public let dictionariesOfPeers: Int
    /// Units that could refer to a dictionary, sent and received.
    public let recalledSent: UInt64
    public let recallsSent: CompressionCounters.Bytes
    /// Bytes on the wire that they took less than without, and units that the peer said it has learned.
    public let saved: UInt64
    public let learned: UInt64
    public let recalledReceived: UInt64
    public let recallsReceived: CompressionCounters.Bytes
    public let unitsSent: UInt64
    public let sent: CompressionCounters.Bytes
    public let unitsReceived: UInt64
    public let received: CompressionCounters.Bytes
    /// Streams of ours that the peer could not go on with; units of its that waited in vain; units of its that were not what they said.
    public let broken: UInt64
    public let lost: UInt64
    public let wrong: UInt64

    init(_ state: HistoryState, _ services: borrowing Services) {
        streams = services.egress.streams.count
        decoders = services.ingress.opener.streams.count
        memory =
            services.egress.streams.used + services.ingress.opener.streams.used + services.egress.dictionaries.used
            + services.ingress.opener.dictionaries.used
        dictionaries = services.egress.dictionaries.count
        dictionariesOfPeers = services.ingress.opener.dictionaries.count
        recalledSent = state.recalledSent
        recallsSent = state.recallsSent
        saved = UInt64(max(state.saved, 0))
        learned = state.learned
        recalledReceived = state.recalledReceived
        recallsReceived = state.recallsReceived
        unitsSent = state.unitsSent
        sent = state.sent
        unitsReceived = state.unitsReceived
        received = state.received
        broken = state.broken
        lost = state.lost
        wrong = state.wrong
    }
}

extension Peer {
    private func historyStatistics(_ hello: HelloExchange, _ services: borrowing Services) -> HistoryStatistics? {
        guard
            takesHistory && hello.records.isSuperset(of: .history)
                || takesRecalls && hello.records.isSuperset(of: .recalls)
        else { return nil }
        return HistoryStatistics(history, services)
    }

    private func repairStatistics(_ hello: HelloExchange, _ services: borrowing Services) -> RepairStatistics? {
        guard repair.isWanted, hello.records.isSuperset(of: .repair) else { return nil }
        return RepairStatistics(
            repair, held: services.ingress.reorder.statistics(of: id.slot, at: services.now.instant))
    }

    /// Its statistics, without its AllowedIPs and Ethernet addresses.
    func statistics(_ services: borrowing Services) -> PeerStatistics {
        var hello = HelloExchange()
        var hasAES = false
        var isLate = false
        if let session = keypairs.current {
            hello = services.sessions[session].hello
            hasAES = services.sessions[session].aes.isOpen
            isLate = self.isLate(on: session, services)
        }
        // Until the next message it is taken at the word that it gave before.
        if hello.confirmation.isDue, !hello.hasArrived, let heard = acquaintance.heard { _ = hello.receive(heard) }
        let hasSession = keypairs.current != nil
        let hasShown = hello.hasArrived || isLate || silentSessions > 0
        return PeerStatistics(
            id: id,
            publicKey: publicKey,
            presharedKey: presharedKey,
            endpoint: path?.remote,
            persistentKeepalive: persistentKeepalive,
            lastHandshake: lastHandshake,
            handshakes: handshakes,
            isGateway: hello.hasArrived
                ? true : silentSessions > 0 || hello.sent >= Limits.helloRepeats.count ? false : nil,
            received: received,
            sent: sent,
            compression: compression,
            cipher: hasAES ? .aes256gcm : .chacha20poly1305,
            refusesCipher: hasSession && cipher == .aes256gcm && !hasAES && hasShown,
            saysNothing: hasSession && !hello.hasArrived,
            compresses: compression.mode.codes(forPeer: hello.codecs),
            traffic: traffic,
            roundTrip: quality.roundTrip,
            carriesOther: hasSession && carriesOther(hello, services.cargo),
            loss: quality.loss,
            drops: drops,
            isShaped: services.egress.queue.holds(id.slot),
            rate: services.egress.queue.rate(of: id.slot),
            foundRate: foundRate(services),
            queuedPackets: services.egress.queue.backlog(of: id.slot).packets,
            queuedBytes: services.egress.queue.backlog(of: id.slot).bytes,
            marks: marks,
            queue: services.egress.queue.log(of: id.slot, at: services.now.instant),
            repair: repairStatistics(hello, services),
            history: historyStatistics(hello, services),
            toldRate: rates.told,
            pathMTU: pathMTU.statistics,
            problem: problems.last.map { ($0.problem, $0.wall) },
            keyExchange: keypairs.current.map { session in
                KeyExchangeStatistics(
                    isAgreed: services.sessions[session].presharedKey.isAgreed,
                    age: exchange.newest.map { _ in services.now.instant - exchange.agreedAt },
                    bytes: exchange.policy == .off ? nil : exchange.bytes,
                    policy: exchange.policy, stage: exchangeStage(on: session, services),
                    unanswered: exchange.unanswered, inVain: exchange.inVain)
            })
    }

    /// Whether the peer carries frames if we do not, or does not if we do. Silence means that it knows no HELLO.
    private func carriesOther(_ hello: HelloExchange, _ cargo: Cargo) -> Bool {
        let isAnswered = hello.hasArrived || hello.sent >= Limits.helloRepeats.count || silentSessions > 0
        return isAnswered && hello.records.contains(.ethernet) != (cargo == .frames)
    }
}
