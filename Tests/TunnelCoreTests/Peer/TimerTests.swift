import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct TimerTests {
    @Test("the initiator renews the session when it sends after 120 s, the responder never does")
    func renewal() {
        let pair = Pair()
        pair.connect()
        pair.link.run(for: .seconds(119))
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .milliseconds(500))
        #expect(pair.link.sightings.initiations.summary == [])
        pair.link.run(for: .seconds(2))
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.drain()
        #expect(pair.link.sightings.initiations.summary == [])
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.initiations.map(\.from) == [pair.alice.endpoint])
    }

    @Test("the initiator renews the session when it receives after 165 s, and asks once")
    func renewalOnReceive() {
        let pair = Pair()
        pair.connect()
        pair.link.rule = { $0.isInitiation ? .drop : .deliver }
        pair.link.run(for: .seconds(160))
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.run(for: .seconds(1))
        #expect(pair.link.sightings.initiations.summary == [])
        pair.link.run(for: .seconds(5))
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.drain()
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        pair.link.drain()
        #expect(pair.link.sightings.initiations.map(\.from) == [pair.alice.endpoint])
    }

    @Test("the responder does not renew the session because it receives late")
    func responderDoesNotRenew() {
        let pair = Pair()
        pair.connect()
        pair.link.rule = { $0.isInitiation ? .drop : .deliver }
        pair.link.run(for: .seconds(170))
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(3))
        #expect(pair.bob.received.count == 1)
        #expect(pair.link.sightings.initiations.sent(by: pair.bob).summary == [])
    }

    @Test("a late message of the session before starts no handshake")
    func lateMessageOfOldSession() throws {
        let pair = Pair()
        pair.connect()
        pair.link.rule = { $0.from == pair.bob.endpoint ? .drop : .deliver }
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        let late = try #require(pair.link.sightings.last)
        pair.link.rule = { _ in .deliver }
        pair.link.run(for: .seconds(125))
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(45))
        pair.forget()
        pair.link.deliver(late.bytes, to: pair.alice, from: pair.bob.endpoint)
        #expect(pair.alice.received.count == 1)
        #expect(pair.link.sightings.summary == [])
    }

    @Test("a session of 180 s is used neither to send nor to receive")
    func endOfSession() throws {
        let pair = Pair()
        pair.connect()
        pair.link.rule = { _ in .drop }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        let datagram = try #require(pair.link.sightings.last?.bytes)
        pair.link.run(for: .seconds(181))
        pair.link.deliver(datagram, to: pair.bob, from: pair.alice.endpoint)
        #expect(pair.bob.received.isEmpty)
        #expect(pair.bob.drops(.expired, of: pair.alice) == 1)
        pair.forget()
        pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
        #expect(pair.link.sightings.filter(\.isTransport).summary == [])
        #expect(pair.link.sightings.initiations.count <= 1)
    }

    @Test("data that nothing answers for 15 s makes a new handshake")
    func unanswered() {
        let pair = Pair()
        pair.connect()
        pair.link.run(for: .seconds(20))
        pair.forget()
        pair.link.rule = { $0.from == pair.bob.endpoint ? .drop : .deliver }
        let sentAt = pair.link.instant
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(4))
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(16))
        let initiations = pair.link.sightings.initiations.sent(by: pair.alice)
        #expect(initiations.count == 1, "the next is due five seconds later")
        let wait = initiations.first.map { $0.at - sentAt }
        #expect(wait.map { $0 >= .seconds(15) && $0 <= .milliseconds(15_333) } == true)
    }

    @Test("keys are wiped 540 s after the last handshake")
    func wiped() {
        let pair = Pair()
        pair.connect()
        pair.link.run(for: .seconds(539))
        #expect(pair.alice.sessions(with: pair.bob.publicKey).count == 1)
        pair.link.run(for: .seconds(2))
        for (end, other) in [(pair.alice, pair.bob), (pair.bob, pair.alice)] {
            #expect(end.sessions(with: other.publicKey).isEmpty)
            let sessions = end.tunnel.services.sessions.count
            #expect(sessions == 0)
            #expect(end.tunnel.services.indices.count == 0)
            #expect(end.events.contains(.wiped(other.publicKey)))
        }
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.run(for: .seconds(1))
        #expect(pair.bob.received.count == 1)
    }

    @Test("a session asks for the next after 2^60 messages, and ends before its counter does, on either end")
    func countersRunOut() {
        let pair = Pair()
        pair.connect()
        pair.link.run(for: .seconds(6))
        for end in [pair.bob, pair.alice] {
            let other = end === pair.bob ? pair.alice : pair.bob
            let number: (UInt8, UInt8) = end === pair.bob ? (2, 1) : (1, 2)
            pair.forget()
            end.setCounter(Limits.rekeyAfterMessages, to: other)
            pair.link.send(udp(number.0, number.1, payload: 10), from: end)
            #expect(pair.link.sightings.initiations.sent(by: end).count == 1)
            pair.link.run(for: .seconds(6))
            #expect(other.received.count == 1)

            pair.forget()
            end.setCounter(Limits.rejectAfterMessages - 1, to: other)
            pair.link.send(udp(number.0, number.1, payload: 20), from: end)
            #expect(pair.link.sightings.data.map(\.counter) == [Limits.rejectAfterMessages - 1])
            pair.link.send(udp(number.0, number.1, payload: 30), from: end)
            #expect(pair.link.sightings.data.count == 1)
            pair.link.run(for: .seconds(6))
            #expect(
                Set(other.received) == [udp(number.0, number.1, payload: 20), udp(number.0, number.1, payload: 30)])
        }
    }

    @Test("after a sleep of hours the next packet makes a session")
    func sleep() {
        let pair = Pair()
        pair.connect()
        for _ in 0..<5 {
            pair.link.run(for: .seconds(3 * 3600))
            pair.link.send(udp(2, 1, payload: 10), from: pair.bob)
            pair.link.run(for: .seconds(1))
        }
        #expect(pair.alice.received.count == 5)
    }
}

extension End {
    /// As if so many messages had been sent on the current session.
    fileprivate func setCounter(_ counter: UInt64, to other: End) {
        guard let session = sessions(with: other.publicKey).first else { return }
        tunnel.services.sessions[session].wireGuard.sendCounter = counter
    }
}
