import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct StatisticsInPartsTests {
    private static let now = Now(instant: Instant(nanoseconds: 0), wall: WallTime(seconds: 0, nanoseconds: 0))

    @Test("statistics in parts say the same as at once", arguments: [1, 3, 64, 1000])
    func same(count: Int) {
        let end = crowd(of: 10)
        var parts = StatisticsInParts()
        var turns = 1
        while !parts.advance(end.tunnel, atMost: count, at: Self.now.instant) { turns += 1 }
        let (whole, atOnce) = (parts.statistics(), end.tunnel.statistics())
        #expect(turns == (10 + count - 1) / count)
        #expect(whole.publicKey == atOnce.publicKey)
        #expect(whole.peers.map(\.publicKey) == (1...10).map { privateKey(UInt64($0 + 1)).publicKey })
        #expect(whole.peers.map(\.allowedIPs) == atOnce.peers.map(\.allowedIPs))
        #expect(whole.peers.map(\.allowedIPs) == (1...10).map { network($0) })
    }

    @Test("an interface without peers is whole at once")
    func empty() {
        let end = crowd(of: 0)
        var parts = StatisticsInParts()
        let isWhole = parts.advance(end.tunnel, atMost: 64, at: Self.now.instant)
        #expect(isWhole)
        #expect(parts.statistics().peers.isEmpty)
    }

    @Test("a peer that goes between two parts is left out, and what belongs to the next in its place is not its own")
    func replaced() {
        let end = crowd(of: 4)
        var parts = StatisticsInParts()
        let isWhole = parts.advance(end.tunnel, atMost: 2, at: Self.now.instant)
        #expect(!isWhole)
        end.tunnel.removePeer(privateKey(2).publicKey)
        add(9, to: end)
        while !parts.advance(end.tunnel, atMost: 2, at: Self.now.instant) {}
        let found = parts.statistics().peers
        #expect(found.map(\.publicKey) == [2, 3, 4].map { privateKey(UInt64($0 + 1)).publicKey })
        #expect(found.map(\.allowedIPs) == [2, 3, 4].map { network($0) })
    }

    private func crowd(of count: Int) -> End {
        let end = End(privateKey(1), site(1).endpoint, seed: 1)
        for number in 0..<count { add(number + 1, to: end) }
        return end
    }

    private func add(_ number: Int, to end: End) {
        var configuration = PeerConfiguration()
        configuration.allowedIPs = network(number)
        end.tunnel.setPeer(privateKey(UInt64(number + 1)).publicKey, configuration, at: Self.now)
    }

    private func network(_ number: Int) -> [Prefix] {
        [Prefix(.v4(10 << 24 | UInt32(number) << 16), length: 16)].compactMap { $0 }
    }
}
