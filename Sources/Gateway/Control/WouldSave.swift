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
                var name = Self.name(outcome)
                if services[name] == nil, services.count >= Self.mostServices { name = Self.rest }
                var service = services[name] ?? WouldSaveStatistics.Service(service: name)
                service.sampledBytes += UInt64(outcome.bytes)
                service.savedBytes += UInt64(outcome.saved)
                services[name] = service
                peers[sample.peer] = services
            }
        }
    }

    private static func name(_ outcome: CompressionTrial.Outcome) -> String {
        let transport =
            switch outcome.transport {
            case 6: "tcp"
            case 17: "udp"
            case 1, 58: "icmp"
            default: "ip/\(outcome.transport)"
            }
        return outcome.port == 0 ? transport : "\(transport)/\(outcome.port)"
    }

    /// What is known of a peer, what would save most first; `nil` if nothing was looked at.
    func report(of peer: PublicKey) -> WouldSaveStatistics? {
        guard let services = peers.withLock({ $0[peer] })?.values, !services.isEmpty else { return nil }
        return WouldSaveStatistics(
            services: services.sorted { ($0.savedBytes, $1.service) > ($1.savedBytes, $0.service) })
    }
}
