import BasicContainers
import Testing

@testable import TestKit
@testable import TunnelCore

/// Arrays of a fixed size that an enumeration indexes: a new case needs a new place, in the release build too.
@Suite struct CapacityTests {
    @Test("every reason for a drop has a place of its own, and there is no place without one")
    func drops() {
        #expect(DropReason.allCases.map(\.rawValue) == Array(0..<DropCounters().counts.count))
    }

    @Test("every timer of a peer has a place of its own, and there is no place without one")
    func timers() {
        #expect(PeerTimer.allCases.map(\.rawValue) == Array(0..<PeerTimers().deadlines.count))
    }

    @Test("every codec and every reason not to compress has a place of its own")
    func compression() {
        let counters = CompressionCounters()
        let codecs = Codec.allCases.map { Int($0.rawValue) }
        #expect(Set(codecs).count == codecs.count)
        #expect(codecs.allSatisfy { counters.units.indices.contains($0) && counters.coded.indices.contains($0) })
        #expect(CompressionSkip.allCases.map(\.rawValue) == Array(0..<counters.skipped.count))
    }

    @Test("every kind of record has a bit of its own in what HELLO announces")
    func records() {
        let kinds = Record.Kind.allCases
        #expect(Set(kinds.map { RecordSet($0).rawValue }).count == kinds.count)
    }
}
