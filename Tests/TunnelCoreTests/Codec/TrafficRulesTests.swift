import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite("What is left uncompressed by rule")
struct TrafficRulesTests {
    private typealias Ports = (UInt16, UInt16)

    @Test("by default what goes towards plaintext HTTP is exposed, and what comes from there is not")
    func exposed() {
        for port in [80, 3128, 8080] as [UInt16] {
            let there = Self.fate(CompressionPolicy(.auto), tcp: (5000, port))
            let back = Self.fate(CompressionPolicy(.auto), tcp: (port, 5000))
            #expect(there == .exposed)
            #expect(back == nil)
        }
    }

    @Test("by default the ports of protocols that encrypt are left alone in both directions")
    func encrypted() {
        for port in [22, 443, 993] as [UInt16] {
            #expect(Self.fate(CompressionPolicy(.auto), tcp: (5000, port)) == .encrypted)
            #expect(Self.fate(CompressionPolicy(.auto), tcp: (port, 5000)) == .encrypted)
        }
        #expect(Self.fate(CompressionPolicy(.auto), tcp: (5000, 5432)) == nil)
    }

    @Test("a list of one's own replaces both")
    func ownList() throws {
        let prefix = try #require(Prefix("10.0.0.2/32"))
        let mine = CompressionPolicy(.auto, skip: TrafficRules([.ports(5432...5433, transport: 6)]))
        #expect(Self.fate(mine, tcp: (5000, 80)) == nil)
        #expect(Self.fate(mine, tcp: (5000, 443)) == nil)
        #expect(Self.fate(mine, tcp: (5433, 5000)) == .exposed)
        #expect(Self.fate(CompressionPolicy(.auto, skip: TrafficRules([.prefix(prefix)])), tcp: (1, 2)) == .exposed)
        #expect(Self.fate(CompressionPolicy(.auto, skip: TrafficRules([])), tcp: (5000, 80)) == nil)
    }

    @Test("with a list of what alone is compressed, everything else is left")
    func only() {
        let only = CompressionPolicy(.auto, only: TrafficRules([.ports(514...514, transport: nil)]))
        #expect(Self.fate(only, tcp: (5000, 514)) == nil)
        #expect(Self.fate(only, tcp: (5000, 515)) == .exposed)
        #expect(Self.fate(only, tcp: (80, 514)) == nil)
        #expect(Self.fate(only, tcp: (514, 80)) == .exposed)
    }

    @Test("what hides its ports is left whatever the rules say")
    func hidden() {
        var fragment = PacketView(Self.segment((5000, 25)))
        fragment.fragment = 0x2000
        #expect(Self.fate(CompressionPolicy(.auto), fragment.bytes) == .exposed)
        #expect(Self.fate(CompressionPolicy(.auto, skip: TrafficRules([.transport(50)])), fragment.bytes) == .exposed)
        let extended = packet(site(1).v6, site(2).v6, transport: 60, ports: (5000, 25), text(400))
        #expect(Self.fate(CompressionPolicy(.auto), extended) == .exposed)
    }

    @Test("while there is no time, auto leaves packets alone, and a codec by name does not care")
    func busy() {
        let segment = Self.segment((5000, 25))
        #expect(Self.fate(CompressionPolicy(.auto), segment, hasTime: false) == .busy)
        #expect(Self.fate(CompressionPolicy(.codec(.deflate)), segment, hasTime: false) == nil)
    }

    private static func segment(_ ports: Ports) -> [UInt8] {
        packet(site(1).v4, site(2).v4, transport: 6, ports: ports, text(400))
    }

    /// Why the policy skips a TCP segment between these ports; `nil` if it would code it.
    private static func fate(_ policy: CompressionPolicy, tcp ports: Ports) -> CompressionSkip? {
        fate(policy, segment(ports))
    }

    private static func fate(_ policy: CompressionPolicy, _ bytes: [UInt8], hasTime: Bool = true) -> CompressionSkip? {
        var flows = FlowTable()
        let packet = unsafe bytes.span.bytes
        guard let header = InternetPacket(packet) else { return .small }
        let traffic = Traffic(packet, header)
        let flow = flows.find(packet, header)
        let layout = PacketLayout(packet, header)
        policy.judge(packet, layout, of: traffic, flow: flow, in: &flows)
        var hello = HelloExchange()
        _ = hello.receive(Hello(seen: true, asks: false, codecs: .all, maximumUnit: Limits.unit))
        let gatherPolicy = GatherPolicy(
            mode: policy.mode, hello: hello, limits: RecordLimits(payload: 1420, fragments: true),
            link: Effort.unknownLink, waits: false, loss: 0)
        let gathered = GatheredPacket(packet, MemberShape(layout: layout, segment: 0), trafficClass: 0, of: flow)
        switch gatherPolicy.treat(gathered, &flows, hasTime: hasTime) {
        case .leave(let reason): return reason
        case .code: return nil
        }
    }
}
