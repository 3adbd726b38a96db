import Addresses
import Control
import TunnelCore

// A configuration file's words in the core's terms.

extension Configuration.Peer {
    /// The preshared keys with it.
    var presharedKeys: PresharedKeys {
        PresharedKeys(current: presharedKey, next: presharedKeyNext, previous: presharedKeyPrevious)
    }

    /// The tunnel's configuration of a peer. A name as endpoint is resolved later.
    var tunnelConfiguration: PeerConfiguration {
        var configuration = PeerConfiguration(
            presharedKey: presharedKey,
            endpoint: endpoint?.numeric,
            allowedIPs: allowedIPs,
            persistentKeepalive: persistentKeepalive.map { .seconds($0.components.seconds) },
            compression: CompressionPolicy(
                compression.mode,
                scope: compressionScope == .peer ? .peer : .flow,
                skip: compressionSkip.map { TrafficRules($0.map(\.rule)) },
                only: compressionOnly.map { TrafficRules($0.map(\.rule)) }))
        configuration.cipher = cipher.policy
        configuration.packs = true
        configuration.rotates = true
        configuration.nextPublicKey = publicKeyNext
        configuration.otherPresharedKey = presharedKeys.other
        configuration.allowedMACs = allowedMACs
        configuration.rate = rate?.bitsPerSecond
        configuration.rateBounds = autoRate.map { $0.least.bitsPerSecond...$0.most.bitsPerSecond }
        configuration.repairs = repair == .auto
        configuration.parity = parity.wish
        configuration.history = history == .auto
        configuration.historyScope = historyScope.scope
        configuration.keyExchange = postQuantum.policy
        configuration.keyExchangeRekey = .seconds(postQuantumRekey.components.seconds)
        configuration.downRate = downRate.map { UInt32(clamping: $0.bitsPerSecond / 1000) }
        return configuration
    }
}

extension Tunnel {
    /// Sets the rate of the link that all peers share.
    mutating func setRate(_ interface: Configuration.Interface, at now: Now) {
        setRate(interface.rate?.bitsPerSecond, linkOverhead: interface.linkOverhead, at: now)
        setHistoryMemory(interface.historyMemory << 20)
    }
}

extension Configuration.Interface {
    var tunnelMode: TunnelMode { mode == .tap ? .frames(isHub: isHub) : .packets }
}

extension Configuration.SegmentClamp {
    /// The same in the core's terms.
    var core: SegmentClamp {
        switch self {
        case .auto: .fitting
        case .off: .off
        case .at(let most): .at(most)
        }
    }
}

extension Configuration.Parity {
    var wish: ParityWish {
        switch self {
        case .auto: .automatic
        case .off: .off
        case .percent(let percent): .percent(percent)
        }
    }
}

extension Configuration.PostQuantum {
    var policy: KeyExchangePolicy {
        switch self {
        case .off: .off
        case .prefer: .prefer
        case .require: .require
        }
    }
}

extension Configuration.Cipher {
    var policy: CipherPolicy {
        switch self {
        case .chacha20poly1305: .chacha20poly1305
        case .auto: .auto
        case .aes256gcm: .aes256gcm
        }
    }
}

extension Configuration.Compression {
    var mode: CompressionPolicy.Mode {
        switch self {
        case .off: .off
        case .receive: .receive
        case .auto: .auto
        case .deflate: .codec(.deflate)
        case .zstd: .codec(.zstd)
        }
    }
}

extension CompressionPolicy {
    /// The word for its mode in the configuration.
    var name: String {
        switch mode {
        case .off: Configuration.Compression.off.rawValue
        case .receive: Configuration.Compression.receive.rawValue
        case .auto: Configuration.Compression.auto.rawValue
        case .codec(let codec): codec.name
        }
    }
}

extension TrafficSelector {
    fileprivate var rule: TrafficRules.Rule {
        switch self {
        case .ports(let range, let transport): .ports(range, transport: transport.map { $0 == .tcp ? 6 : 17 })
        case .prefix(let prefix): .prefix(prefix)
        }
    }
}

extension CipherSuite {
    /// The word for it in the configuration, in statistics and in the log.
    var name: String {
        switch self {
        case .chacha20poly1305: Configuration.Cipher.chacha20poly1305.rawValue
        case .aes256gcm: Configuration.Cipher.aes256gcm.rawValue
        }
    }
}

extension Codec {
    /// The word for it in statistics and in the log.
    var name: String {
        switch self {
        case .deflate: "deflate"
        case .zstd: "zstd"
        }
    }
}

extension Configuration.HistoryScope {
    /// The word of the core for it.
    fileprivate var scope: HistoryScope {
        switch self {
        case .flow: .flow
        case .hosts: .hosts
        case .peer: .peer
        }
    }
}
