import Addresses
import Control
import Testing

@Suite struct TrafficSelectorTests {
    @Test(
        "an item reads and writes the same",
        arguments: ["tcp/80", "udp/53", "443", "8000-8100", "tcp/8000-8100", "10.0.0.0/8", "2001:db8::/32"])
    func roundTrip(text: String) { #expect(TrafficSelector(text).map { "\($0)" } == text) }

    @Test(
        "text that is neither port nor prefix is refused",
        arguments: [
            "", "0", "65536", "tcp/", "/80", "tcp/0", "icmp/1", "90-80", "80-", "-80", "+80", "tcp/80/81", "http",
        ])
    func refused(text: String) { #expect(TrafficSelector(text) == nil) }

    @Test("a port means either end of the flow, a transport means that alone, a prefix either address")
    func matching() throws {
        let inside = (try #require(IPAddress("10.0.0.1")), try #require(IPAddress("192.0.2.1")))
        let list = try ["tcp/80-81", "53"].map { try #require(TrafficSelector($0)) }
        #expect(list.contains(transport: .tcp, ports: (40000, 81), addresses: inside))
        #expect(list.contains(transport: .tcp, ports: (80, 40000), addresses: inside))
        #expect(!list.contains(transport: .udp, ports: (40000, 80), addresses: inside))
        #expect(list.contains(transport: .udp, ports: (53, 40000), addresses: inside))
        #expect(!list.contains(transport: nil, ports: nil, addresses: inside))
        let prefix = try #require(TrafficSelector("192.0.2.0/24"))
        #expect([prefix].contains(transport: nil, ports: nil, addresses: inside))
    }

    @Test("an interface is named like its file")
    func names() {
        #expect(InterfaceName.stem(ofFile: "/etc/gateway/branch.conf") == "branch")
        #expect(InterfaceName.stem(ofFile: "wg0") == "wg0")
        #expect(InterfaceName("a=b+c.d-e_f") != nil)
        #expect(InterfaceName("a/b") == nil)
    }
}
