import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct FlowTableTests {
    @Test("a flow that does not compress is tried less and less often, at most every 512th packet skipped")
    func backoff() {
        var flows = FlowTable()
        var gaps: [Int] = []
        for _ in 0..<14 {
            var gap = 0
            while true {
                let flow = flows.find(0xabcd_0000_0007)
                if flows.takeTurn(flow, size: 1400) {
                    flows.noteFailure(on: flow, size: 1400)
                    break
                }
                gap += 1
            }
            gaps.append(gap)
        }
        #expect(gaps == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 512, 512])
    }

    @Test("success ends the back-off, and other flows have their own")
    func success() {
        var flows = FlowTable()
        let flow = flows.find(1 << 32)
        for _ in 0..<5 where flows.takeTurn(flow, size: 1400) { flows.noteFailure(on: flow, size: 1400) }
        let other = flows.takeTurn(flows.find(2 << 32 | 1), size: 1400)
        #expect(other)
        var tries = 0
        while tries < 100 {
            tries += 1
            if flows.takeTurn(flow, size: 1400) {
                flows.noteCoded(1000, to: 400, on: flow)
                break
            }
        }
        #expect(tries < 10)
        let again = flows.takeTurn(flow, size: 1400)
        #expect(again)
    }
}
