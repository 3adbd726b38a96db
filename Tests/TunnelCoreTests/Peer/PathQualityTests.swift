import Keys
import Testing

@testable import TunnelCore

/// What is known of the way to a peer.
@Suite struct PathQualityTests {
    @Test("what is lost while a queue stands on the way is not the link's loss")
    func queued() {
        var quality = PathQuality()
        quality.note(trip: .milliseconds(40), at: at(0))
        report(&quality, lost: 50)
        #expect(quality.linkLoss > 0.01 && quality.linkLoss == quality.loss)
        quality.note(trip: .milliseconds(49), at: at(1))
        #expect(quality.linkLoss > 0)
        quality.note(trip: .milliseconds(55), at: at(2))
        // One may have waited for a thread.
        #expect(quality.linkLoss > 0)
        quality.note(trip: .milliseconds(55), at: at(2))
        #expect(quality.linkLoss == 0 && quality.loss > 0.01)
        quality.note(trip: .milliseconds(42), at: at(3))
        #expect(quality.linkLoss > 0)
    }

    @Test("a way that has become longer is the shortest after ten minutes, and one that is another at once")
    func change() {
        var quality = PathQuality()
        report(&quality, lost: 50)
        quality.note(trip: .milliseconds(40), at: at(0))
        for second in 1..<590 as Range<Int64> { quality.note(trip: .milliseconds(80), at: at(second)) }
        #expect(quality.isQueued)
        for second in 590..<620 as Range<Int64> { quality.note(trip: .milliseconds(80), at: at(second)) }
        #expect(!quality.isQueued)
        for second in [621, 622] as [Int64] { quality.note(trip: .milliseconds(95), at: at(second)) }
        #expect(quality.isQueued)
        quality.forgetTrips()
        #expect(!quality.isQueued)
        quality.note(trip: .milliseconds(95), at: at(623))
        #expect(!quality.isQueued)
    }

    private func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: (seconds + 1) * 1_000_000_000) }

    /// Two reports between which 1,000 datagrams were sent, of which some are missing.
    private func report(_ quality: inout PathQuality, lost: UInt64) {
        for (number, missing) in [(1, 0), (2, lost)] as [(UInt64, UInt64)] {
            let record = ReportRecord(
                isAES: false, highest: number * 1000, recent: 0, datagrams: number * 1000 - missing,
                bytes: number * 1_000_000, clock: number * 1_000_000)
            quality.take(record, on: nil)
        }
    }
}
