import Testing
import TunnelCore

@testable import Estimate

@Suite struct ThinPairTests {
    @Test(
        "whatever the link, all packets come out as they went in, and those that its queue dropped go again",
        arguments: [(64_000, 0), (64_000, 300), (2_000_000, 40), (20_000_000, 2000), (1_000_000_000, 1)]
            as [(UInt64, Int64)])
    func losesNothing(rate: UInt64, milliseconds: Int64) {
        for scope in [nil, .flow, .hosts] as [HistoryScope?] {
            let pair = ThinPair(options(rate, .milliseconds(milliseconds)), history: scope)
            var sent = 0
            for round in 0..<6 {
                for end in 0...1 {
                    // More than the link takes meanwhile, of noise and of text, and a pause in which sessions end.
                    let packets = (0..<20).map {
                        udp(end, port: 1 + $0 % 3, content(round * 20 + $0, isNoise: $0 % 3 == 0))
                    }
                    let pause = round == 5 ? Interval.seconds(400) : .milliseconds(Int64(5 * round))
                    pair.send(packets, from: end, at: start + pause)
                    sent += packets.count
                }
            }
            let isFinished = pair.finish()
            let came = pair.takeDeliveries()
            let packets = came.reduce(0) { $0 + $1.packets.count }
            let wire = came.reduce(0) { $0 + $1.wire }
            let (carried, isWrong) = (pair.wireBytes, pair.isWrong)
            #expect(isFinished && !isWrong && packets == sent)
            #expect(wire > 0 && wire <= carried)
        }
    }

    @Test("small messages of a flow take less with history by flow, those of a flow each by hosts alone")
    func scopes() {
        func wire(_ scope: HistoryScope?, port: (Int) -> Int) -> Int {
            let pair = ThinPair(options(2_000_000, .milliseconds(40)), history: scope)
            for number in 0..<200 {
                let text =
                    "{\"sensor\":\(number % 7),\"state\":\"as it should be\",\"degrees\":\(number * 7919 % 1000),\"site\":\"north\"}"
                pair.send(
                    [udp(0, port: port(number), Array(text.utf8))], from: 0,
                    at: start + .milliseconds(Int64(100 * number)))
            }
            _ = pair.finish()
            return pair.takeDeliveries().reduce(0) { $0 + $1.wire }
        }
        let one = [nil, .flow, .hosts].map { wire($0) { _ in 5 } }
        let many = [nil, .flow, .hosts].map { wire($0) { 1000 + $0 } }
        #expect(Double(one[1]) < 0.85 * Double(one[0]) && abs(one[2] - one[1]) < one[0] / 50)
        #expect(many[1] == many[0] && Double(many[2]) < 0.85 * Double(many[0]))
    }

    private let start = Instant(nanoseconds: 1_002_000_000_000)

    private func options(_ rate: UInt64, _ roundTrip: Interval) -> Estimation.Options {
        Estimation.Options(
            CompressionPolicy(.auto), mtu: 1500, drain: .milliseconds(1), outerHeaders: 28, rate: rate,
            roundTrip: roundTrip)
    }

    private func content(_ number: Int, isNoise: Bool) -> [UInt8] {
        if isNoise {
            var state = UInt64(number + 1) &* 0x9e37_79b9_7f4a_7c15
            return (0..<1400).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1
                return UInt8(truncatingIfNeeded: state >> 56)
            }
        }
        return Array(String(repeating: "line \(number) of a text that says little; ", count: 30).utf8.prefix(1200))
    }

    /// A packet from one end to the other.
    private func udp(_ end: Int, port: Int, _ content: [UInt8]) -> [UInt8] {
        func big(_ number: Int) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255)] }
        let addresses = [[10, 0, 0, 1], [10, 0, 0, 2]] as [[UInt8]]
        var header = [0x45, 0] + big(28 + content.count) + [0, 0, 0x40, 0, 64, 17, 0, 0]
        header += addresses[end] + addresses[1 - end]
        var sum = stride(from: 0, to: 20, by: 2).reduce(0) { $0 + Int(header[$1]) << 8 + Int(header[$1 + 1]) }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        header.replaceSubrange(10..<12, with: big(~sum & 0xffff))
        return header + big(port) + big(4000) + big(8 + content.count) + [0, 0] + content
    }
}
