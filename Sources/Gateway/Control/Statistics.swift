import Addresses
import Control
import Keys
import Synchronization
import TunnelCore

extension Daemon {
    /// A snapshot of the tunnel in the words of the contract (`docs/configuration.md`).
    func describe(_ tunnel: TunnelStatistics, _ refused: RefusedCounters) -> InterfaceStatistics {
        let settings = settings
        let configuration = settings.configuration
        var statistics = InterfaceStatistics(
            interface: configuration.interface.name.description,
            publicKey: tunnel.publicKey?.description,
            listenPort: listenPort.load(ordering: .relaxed),
            fwmark: mark.load(ordering: .relaxed),
            uptimeSeconds: uptime,
            peers: tunnel.peers.map {
                describe($0, settings.peer($0.publicKey), isEthernet: configuration.interface.mode == .tap)
            },
            drops: InterfaceDrops(tunnel.drops, refused))
        statistics.answeredNeighbours = tunnel.answeredNeighbours
        statistics.bridgeTroubles = bridge.troubles
        return statistics
    }

    private func describe(
        _ peer: TunnelCore.PeerStatistics, _ configuration: Configuration.Peer?, isEthernet: Bool
    ) -> Control.PeerStatistics {
        var statistics = Control.PeerStatistics(
            publicKey: peer.publicKey.description,
            name: configuration?.name,
            endpoint: peer.endpoint?.description,
            allowedIPs: peer.allowedIPs.map(\.description),
            addresses: isEthernet ? peer.addresses.map(\.description) : nil,
            presharedKey: peer.hasPresharedKey,
            persistentKeepalive: UInt16(clamping: (peer.persistentKeepalive?.nanoseconds ?? 0) / 1_000_000_000),
            latestHandshake: peer.lastHandshake?.seconds ?? 0,
            rxBytes: peer.received,
            txBytes: peer.sent,
            cipher: peer.cipher.name,
            rttMicroseconds: UInt64(max(peer.roundTrip?.nanoseconds ?? 0, 0) / 1000),
            lossPermille: UInt32((peer.loss * 1000).rounded()),
            compression: Self.describe(peer.traffic, peer.compression.name, isActive: peer.compresses),
            drops: PeerDrops(peer.drops),
            error: Self.error(of: peer, isEthernet: isEthernet),
            endpointName: configuration?.endpoint.flatMap { $0.numeric == nil ? $0.description : nil },
            lastProblem: peer.problem?.0.text,
            lastProblemTime: peer.problem?.1.seconds,
            queue: Self.queue(of: peer), repair: peer.repair.map { Self.repair($0) })
        statistics.history = peer.history.map { Self.history($0) }
        statistics.compression.wouldSave = wouldSave.report(of: peer.publicKey)
        statistics.compression.services = serviceCounts.report(of: peer.publicKey)
        statistics.handshakes = peer.handshakes
        statistics.isGateway = peer.isGateway
        statistics.pathMTU = peer.pathMTU.map { PathMTUStatistics($0) }
        statistics.keyExchange = peer.keyExchange.map { $0.isAgreed ? "x25519+mlkem768" : "x25519" }
        statistics.keyExchangeAge = peer.keyExchange?.age.map { UInt64(max($0.nanoseconds, 0) / 1_000_000_000) }
        statistics.keyExchangeBytes = peer.keyExchange?.bytes
        if let exchange = peer.keyExchange, exchange.policy != .off {
            statistics.keyExchangeWanted = exchange.policy == .require ? "require" : "prefer"
            statistics.keyExchangeStage = Self.stage(exchange.stage)
            statistics.keyExchangeUnanswered = exchange.unanswered
            statistics.keyExchangeInVain = exchange.inVain
        }
        statistics.lastProblemCode = peer.problem?.0.code
        return statistics
    }

    private static func stage(_ stage: KeyExchangeStage) -> Control.PeerStatistics.KeyExchangeStage {
        switch stage {
        case .agreed: .agreed
        case .unsaid: .unsaid
        case .refused: .refused
        case .underWay: .underWay
        case .unanswered: .unanswered
        }
    }

    private static func history(_ history: TunnelCore.HistoryStatistics) -> Control.HistoryStatistics {
        var statistics = Control.HistoryStatistics()
        statistics.streams = UInt64(history.streams)
        statistics.decoders = UInt64(history.decoders)
        statistics.memoryBytes = UInt64(history.memory)
        statistics.txUnits = history.unitsSent
        statistics.txPlainBytes = history.sent.plain
        statistics.txWireBytes = history.sent.wire
        statistics.broken = history.broken
        statistics.rxUnits = history.unitsReceived
        statistics.rxPlainBytes = history.received.plain
        statistics.rxWireBytes = history.received.wire
        statistics.lost = history.lost
        statistics.wrong = history.wrong
        statistics.dictionaries = UInt64(history.dictionaries)
        statistics.peerDictionaries = UInt64(history.dictionariesOfPeers)
        statistics.txRecalls = history.recalledSent
        statistics.txRecallPlainBytes = history.recallsSent.plain
        statistics.txRecallWireBytes = history.recallsSent.wire
        statistics.txRecallSavedBytes = history.saved
        statistics.txLearned = history.learned
        statistics.rxRecalls = history.recalledReceived
        statistics.rxRecallPlainBytes = history.recallsReceived.plain
        statistics.rxRecallWireBytes = history.recallsReceived.wire
        return statistics
    }

    private static func repair(_ repair: TunnelCore.RepairStatistics) -> Control.RepairStatistics {
        var statistics = Control.RepairStatistics()
        statistics.resent = repair.resent
        statistics.resentBytes = repair.resentBytes
        statistics.told = repair.told
        statistics.gone = repair.gone
        statistics.lost = repair.lost
        statistics.repaired = repair.repaired
        statistics.givenUp = repair.givenUp
        statistics.rebuilt = repair.rebuilt
        statistics.parity = repair.parity
        statistics.parityBytes = repair.parityBytes
        statistics.heldPackets = UInt64(repair.held.packets)
        statistics.held = repair.held.held
        statistics.heldMicrosecondsP50 = UInt64(repair.held.median.nanoseconds / 1000)
        statistics.heldMicrosecondsP99 = UInt64(repair.held.percentile99.nanoseconds / 1000)
        return statistics
    }

    private static func queue(of peer: TunnelCore.PeerStatistics) -> QueueStatistics? {
        guard peer.isShaped else { return nil }
        var statistics = QueueStatistics(
            rate: peer.rate ?? 0, packets: UInt64(peer.queuedPackets), bytes: UInt64(peer.queuedBytes),
            marks: peer.marks)
        statistics.toldRate = peer.toldRate
        if let found = peer.foundRate {
            statistics.rate = min(found.rate, peer.toldRate ?? found.rate)
            statistics.autoLeast = found.least
            statistics.autoMost = found.most
            statistics.autoUnheard = found.isUnheard
        }
        statistics.delayMicrosecondsP50 = peer.queue.map { UInt64($0.median.nanoseconds / 1000) }
        statistics.delayMicrosecondsP99 = peer.queue.map { UInt64($0.percentile99.nanoseconds / 1000) }
        statistics.sparseFlows = peer.queue.map { UInt64($0.sparse) }
        statistics.bulkFlows = peer.queue.map { UInt64($0.bulk) }
        return statistics
    }

    private static func error(of peer: TunnelCore.PeerStatistics, isEthernet: Bool) -> String? {
        if peer.carriesOther {
            return isEthernet
                ? "the peer does not do Ethernet, which Mode = tap demands"
                : "the peer carries Ethernet, which takes Mode = tap here too"
        }
        guard peer.refusesCipher else { return nil }
        return peer.saysNothing
            ? "the peer has not said that it does AES-256-GCM, which Cipher = aes256gcm demands; nothing is sent to it"
            : "the peer does not do AES-256-GCM, which Cipher = aes256gcm demands"
    }

    private static func describe(
        _ traffic: CompressionCounters, _ configured: String, isActive: Bool
    ) -> CompressionStatistics {
        var codecs: [String: CodecStatistics] = [:]
        for codec in Codec.allCases {
            let bytes = traffic.coded[Int(codec.rawValue)]
            codecs[codec.name] = CodecStatistics(
                units: traffic.units[Int(codec.rawValue)], plainBytes: bytes.plain, wireBytes: bytes.wire)
        }
        return CompressionStatistics(
            configured: configured,
            active: isActive,
            tx: ByteCounts(traffic.sent),
            rx: ByteCounts(traffic.received),
            codecs: codecs,
            bundles: BundleStatistics(
                datagrams: traffic.bundles, packets: traffic.bundledPackets, plainBytes: traffic.bundled.plain,
                wireBytes: traffic.bundled.wire),
            skipped: SkipCounts(
                encrypted: traffic.skipped[CompressionSkip.encrypted.rawValue],
                exposed: traffic.skipped[CompressionSkip.exposed.rawValue],
                small: traffic.skipped[CompressionSkip.small.rawValue],
                backoff: traffic.skipped[CompressionSkip.backoff.rawValue],
                busy: traffic.skipped[CompressionSkip.busy.rawValue]))
    }
}

extension PathMTUStatistics {
    fileprivate init(_ path: PathStatistics) {
        let source =
            switch path.source {
            case .assumed: "route"
            case .probed: "probes"
            case .icmp: "icmp"
            }
        self.init(
            mtu: UInt64(path.mtu), source: source, state: "\(path.phase)", blackHoles: path.blackHoles,
            ignoredICMP: path.ignored)
    }
}

extension ByteCounts {
    fileprivate init(_ bytes: CompressionCounters.Bytes) {
        self.init(plainBytes: bytes.plain, wireBytes: bytes.wire)
    }
}

extension PeerDrops {
    fileprivate init(_ drops: DropCounters) {
        self.init()
        replay = drops[.replay]
        allowedIPs = drops[.allowedIPs]
        malformed = drops[.record] + drops[.content]
        incomplete = drops[.incomplete]
        authentication = drops[.authentication]
        expired = drops[.expired]
        congestion = drops[.congestion]
        noSession = drops[.staged]
        noEndpoint = drops[.noEndpoint]
        loop = drops[.loop]
        frame = drops[.frame]
        allowedMACs = drops[.allowedMACs]
        learning = drops[.learning]
        storm = drops[.storm]
        noEthernet = drops[.noEthernet]
        unannounced = drops[.unannounced]
        queueFull = drops[.queueFull]
        budget = drops[.budget]
        backlog = drops[.backlog]
        queueDelay = drops[.queueDelay]
        tooBig = drops[.tooBig]
        keyExchange = drops[.keyExchange]
    }
}

extension InterfaceDrops {
    fileprivate init(_ drops: DropCounters, _ refused: RefusedCounters) {
        self.init()
        noPeer = drops[.noPeer]
        notIP = drops[.notIP]
        malformed = drops[.malformed]
        unknownIndex = drops[.unknownIndex]
        mac1 = drops[.mac1]
        handshake = drops[.handshake]
        rateLimited = drops[.rateLimited] + refused.handshakes
        overflow = drops[.overflow]
        incomplete = drops[.incomplete]
        kernelReceive = refused.received
        kernelTransmit = refused.unread
        send = refused.datagrams
        device = refused.packets
        frame = drops[.frame]
        storm = drops[.storm]
        checksum = refused.checksums
        multicast = drops[.multicast]
    }
}
