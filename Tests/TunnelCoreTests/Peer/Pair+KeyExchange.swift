import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

extension Pair {
    /// Sees to it that no packet leaves on a session without the key; one in so many datagrams gets lost.
    func guardPackets(loss: Int? = nil) {
        var count = 0
        link.rule = { sighting in
            if isUnguarded(sighting) { Issue.record("a packet without the key") }
            count += 1
            // Spread, and the same in every run.
            guard let loss else { return .deliver }
            return count &* 2_654_435_761 >> 7 % loss == 0 ? .drop : .deliver
        }
    }

    /// Whether it is a packet on a session without the key.
    func isUnguarded(_ sighting: Sighting) -> Bool {
        guard let payload = sighting.payload, let first = payload.first, first != 0x1f else { return false }
        let isData = first >> 4 == 4 || first >> 4 == 6 || [0x11, 0x12, 0x16, 0x1b].contains(first)
        guard isData else { return false }
        for (end, other) in [(alice, bob), (bob, alice)] where end.endpoint == sighting.from {
            for session in end.sessions(with: other.publicKey) {
                for suite in [CipherSuite.chacha20poly1305, .aes256gcm] {
                    let index = end.tunnel.services.sessions[session][suite].remoteIndex?.rawValue
                    guard index == sighting.receiver else { continue }
                    return !end.tunnel.services.sessions[session].presharedKey.isAgreed
                }
            }
        }
        return true
    }

    /// Whether the current session of each end is made with an agreed key.
    var agreed: [Bool] { keyNumbers.map { $0 != nil } }

    var keyNumbers: [UInt64?] {
        [(alice, bob), (bob, alice)].map { end, other in
            guard let session = end.sessions(with: other.publicKey).first,
                case .agreed(let number) = end.tunnel.services.sessions[session].presharedKey
            else { return nil }
            return number
        }
    }

    var keyDatagrams: [Sighting] { link.sightings.filter { $0.payload?.first == 0x1f } }
}

extension End {
    var isToldAgreed: [Bool] {
        events.compactMap { if case .keyExchange(_, let isAgreed) = $0 { isAgreed } else { nil } }
    }
}
