import Control
import Keys
import LinuxIO
import NIOCore
import TunnelCore

/// Says again to peers what they have not answered yet of keys that take the place of others: each second at first, then every
/// ten. On the control socket's event loop.
final class RotationWatch: Sendable {
    private static let often = 10
    private static let interval = TimeAmount.seconds(1)

    private let daemon: Daemon

    init(_ daemon: Daemon) { self.daemon = daemon }

    func start(on loop: any EventLoop) { look(on: loop, looks: 0) }

    private func look(on loop: any EventLoop, looks: Int) {
        loop.scheduleTask(in: Self.interval) { [self] in
            guard !daemon.isHandedOver else { return }
            let changing = daemon.settings.changing
            if looks < Self.often || looks % Self.often == 0 {
                for peer in changing { Self.say(peer.presharedKeys, peer.publicKey, daemon) }
            }
            look(on: loop, looks: changing.isEmpty ? 0 : looks + 1)
        }
    }

    /// Says what a peer is to know now of the keys with it.
    static func say(_ keys: PresharedKeys, _ key: PublicKey, _ daemon: Daemon) {
        daemon.commands.post { loop, now in
            let stands = loop.tunnel.keysStand(with: key)
            if let word = keys.toSay(stands: stands) {
                _ = loop.tunnel.rotate(word, with: key, at: now)
            } else if !stands {
                loop.tunnel.renewSession(with: key, at: now)
            }
        }
    }
}
