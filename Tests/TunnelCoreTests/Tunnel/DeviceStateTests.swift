import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct DeviceStateTests {
    @Test("a device that is down sends nothing and answers nothing, and its sessions are gone")
    func down() {
        let pair = Pair(alice: Pair.Options(persistentKeepalive: .seconds(5)))
        pair.connect()
        pair.link.change(pair.alice) { tunnel, now in tunnel.setUp(false, at: now) }
        pair.forget()
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.run(for: .seconds(300))
        #expect(pair.link.sightings.sent(by: pair.alice).summary == [])
        #expect(pair.alice.received == [])
        let sessions = pair.alice.tunnel.services.sessions.count
        #expect(sessions == 0)
    }

    @Test("a device that comes up again works, and greets peers with a persistent keepalive at once")
    func up() {
        let pair = Pair(alice: Pair.Options(persistentKeepalive: .seconds(25)))
        pair.connect()
        pair.link.change(pair.alice) { tunnel, now in tunnel.setUp(false, at: now) }
        pair.link.run(for: .seconds(30))
        pair.link.change(pair.alice) { tunnel, now in tunnel.setUp(true, at: now) }
        pair.link.run(for: .seconds(2))
        #expect(pair.alice.statistics(of: pair.bob)?.lastHandshake.map { $0.seconds > 25 } == true)
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received.last == udp(1, 2, payload: 10))
    }

    @Test("another private key asks at once for sessions in the place of those that it ended")
    func keyChange() {
        let pair = Pair()
        pair.connect()
        pair.forget()
        pair.link.change(pair.alice) { tunnel, now in tunnel.setPrivateKey(privateKey(50), at: now) }
        pair.link.run(for: .seconds(1))
        #expect(pair.link.sightings.initiations.summary.count == 1)
    }
}
