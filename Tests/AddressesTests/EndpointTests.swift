import Addresses
import Testing

@Suite struct EndpointTests {
    @Test(
        "an endpoint reads and writes the same",
        arguments: ["192.0.2.1:51820", "[2001:db8::1]:1", "[fe80::1%2]:65535", "[::]:51820"])
    func roundTrip(text: String) { #expect(Endpoint(text).map { "\($0)" } == text) }

    @Test(
        "text that is no host and port is refused",
        arguments: [
            "", ":", ":1", "host", "host:", "host:0", "host:65536", "host:-1", "host:+1", "::1:51820", "[::1]",
            "[::1:1",
            "::1]:1", "[]:1", "host:1x", "host: 1",
        ])
    func refused(text: String) { #expect(HostAndPort(text) == nil) }

    @Test("a host may be a name, and then it is no endpoint yet")
    func name() throws {
        let host = try #require(HostAndPort("vpn.example.org:51820"))
        #expect(host.host == "vpn.example.org")
        #expect(host.port == 51820)
        #expect(host.numeric == nil)
        #expect(Endpoint("vpn.example.org:51820") == nil)
    }

    @Test("a zone belongs to IPv6 alone and is a number")
    func zone() {
        #expect(Endpoint("[fe80::1%3]:1")?.scope == 3)
        #expect(Endpoint("192.0.2.1%3:1") == nil)
        #expect(Endpoint("[fe80::1%eth0]:1") == nil)
        #expect(Endpoint("[fe80::1%+3]:1") == nil)
    }

    @Test("brackets around IPv6 come back when it is written")
    func brackets() { #expect(HostAndPort("[2001:db8::1]:5").map { "\($0)" } == "[2001:db8::1]:5") }
}
