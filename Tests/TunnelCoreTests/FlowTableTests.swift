import Testing

@testable import TunnelCore

@Suite struct FlowTableTests {
    @Test("a flow that does not compress is tried less and less often, at most every 512th packet skipped")
    func backoff() {
        var flows = FlowTable()
        var gaps: [Int] = []
        for _ in 0..<14 {
            var gap = 0
            while true {
                let flow = flows.take(0xabcd_0000_0007)
                if let flow {
                    flows.note(false, on: flow)
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
        for _ in 0..<5 { if let flow = flows.take(1 << 32) { flows.note(false, on: flow) } }
        let other = flows.take(2 << 32 | 1)
        #expect(other != nil)
        var tries = 0
        while tries < 100 {
            tries += 1
            if let flow = flows.take(1 << 32) {
                flows.note(true, on: flow)
                break
            }
        }
        #expect(tries < 10)
        let again = flows.take(1 << 32)
        #expect(again != nil)
    }
}
