import Testing

@testable import TestKit
@testable import TunnelCore

/// What became of the bytes of each service, from a look at some of them.
@Suite struct ServiceSharesTests {
    @Test("what is counted is what went by, and each service has its ratio")
    func counted() {
        let pair = Pair(CompressionPolicy(.codec(.zstd)), CompressionPolicy(.codec(.zstd)))
        pair.connect()
        _ = pair.alice.tunnel.takeServiceShares()
        for _ in 0..<2000 {
            pair.link.send(udp(1, 2, payload: 1000), from: pair.alice)
            pair.link.run(for: .milliseconds(1))
        }
        let shares = pair.alice.tunnel.takeServiceShares()
        #expect(shares.count == 1 && shares.allSatisfy { $0.peer == pair.bob.publicKey && $0.sum.transport == 17 })
        let plain = shares.reduce(0) { $0 + $1.sum.plain }
        #expect((1_900_000...2_150_000).contains(plain))
        #expect(pair.alice.tunnel.takeServiceShares().isEmpty)
    }

    @Test("more services than there is room for are not counted, and harm nobody")
    func full() {
        var shares = ServiceShares()
        for port in 0..<5000 {
            while !shares.isDue(30_000) {}
            var flow = TraceFlow()
            flow.transport = 6
            flow.destinationPort = UInt16(port)
            shares.note(flow, plain: 1000, wire: 500, to: PeerSlot(port % 7))
        }
        let sums = shares.take()
        let isHalf = sums.allSatisfy { $0.sum.wire == $0.sum.plain / 2 }
        let count = sums.count
        #expect((100...256).contains(count) && isHalf)
    }
}
