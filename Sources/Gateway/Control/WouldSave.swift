import Control
import Keys
import Synchronization
import TunnelCore

/// What compression would have saved with peers that are sent plain packets, from samples: by peer and service. On the control
/// socket's event loop, but for reading.
final class WouldSave: Sendable {
    private static let mostPeers = 1024
    private static let mostServices = 32
    private static let rest = "other"

    private let peers = Mutex<[PublicKey: [String: WouldSaveStatistics.Service]]>([:])

    /// Works out what compression makes of samples, and counts it.
    func take(_ samples: [PlainSample], _ trial: inout CompressionTrial) {
        for sample in samples {
            guard let outcome = trial.perform(sample) else { continue }
            peers.withLock { peers in
                guard peers[sample.peer] != nil || peers.count < Self.mostPeers else { return }
                var services = peers[sample.peer] ?? [:]
                var name = Self.name(outcome.transport, outcome.port)
                if services[name] == nil, services.count >= Self.mostServices { name = Self.rest }
                var service = services[name] ?? WouldSaveStatistics.Service(service: name)
                service.sampledBytes += UInt64(outcome.bytes)
                service.savedBytes += UInt64(outcome.saved)
                services[name] = service
                peers[sample.peer] = services
            }
        }
    }

    static func name(_ transport: UInt8, _ port: UInt16) -> String {
        let word =
            switch transport {
            case 6: "tcp"
            case 17: "udp"
            case 1, 58: "icmp"
            default: "ip/\(transport)"
            }
        return port == 0 ? word : "\(word)/\(port)"
    }

    /// What is known of a peer, what would save most first; `nil` if nothing was looked at.
    func report(of peer: PublicKey) -> WouldSaveStatistics? {
        guard let services = peers.withLock({ $0[peer] })?.values, !services.isEmpty else { return nil }
        return WouldSaveStatistics(
            services: services.sorted { ($0.savedBytes, $1.service) > ($1.savedBytes, $0.service) })
    }
}

/// What became of the bytes of each service on the way to gateways, by peer. On the control socket's event loop, but for reading.
final class ServiceCounts: Sendable {
    private static let mostPeers = 1024
    private static let mostServices = 32
    private static let rest = "other"

    private let peers = Mutex<[PublicKey: [String: ServiceStatistics]]>([:])

    func take(_ shares: [ServiceShare]) {
        peers.withLock { peers in
            for share in shares where peers[share.peer] != nil || peers.count < Self.mostPeers {
                var services = peers[share.peer] ?? [:]
                var name = WouldSave.name(share.sum.transport, share.sum.port)
                if services[name] == nil, services.count >= Self.mostServices { name = Self.rest }
                let old = services[name]
                services[name] = ServiceStatistics(
                    service: name, plainBytes: (old?.plainBytes ?? 0) &+ share.sum.plain,
                    wireBytes: (old?.wireBytes ?? 0) &+ share.sum.wire)
                peers[share.peer] = services
            }
        }
    }

    /// What is known of a peer, the most bytes first; `nil` if nothing was looked at.
    func report(of peer: PublicKey) -> [ServiceStatistics]? {
        guard let services = peers.withLock({ $0[peer] })?.values, !services.isEmpty else { return nil }
        return services.sorted { ($0.plainBytes, $1.service) > ($1.plainBytes, $0.service) }
    }
}
