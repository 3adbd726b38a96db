import Addresses
import Testing

@Suite struct IPAddressTests {
    @Test(
        "an IPv6 address is written as RFC 5952 wants it",
        arguments: [
            // RFC 4291 §2.2
            ("ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"),
            ("2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"),
            ("FF01:0:0:0:0:0:0:101", "ff01::101"),
            ("0:0:0:0:0:0:0:1", "::1"),
            ("0:0:0:0:0:0:0:0", "::"),
            ("0:0:0:0:0:FFFF:129.144.52.38", "::ffff:129.144.52.38"),
            ("::13.1.68.3", "::d01:4403"),
            // RFC 5952 §4
            ("2001:0db8::0001", "2001:db8::1"),
            ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            ("1::", "1::"),
        ])
    func canonical(text: String, expected: String) throws {
        let address = try #require(IPAddress(text))
        #expect("\(address)" == expected)
        #expect(IPAddress(expected) == address)
    }

    @Test(
        "text that is no IPv6 address is refused",
        arguments: [
            ":", ":::", "1:::", ":::1", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "12345::",
            "g::", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4::", "::1.2.3", "::1.2.3.256", ":1", "1:", "[::1]", "::1%1", "::+1",
            "::1 ", "1::-2", "::١",
        ])
    func noIPv6(text: String) { #expect(IPAddress(text) == nil) }

    @Test(
        "text that is no IPv4 address is refused",
        arguments: [
            "", ".", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "1..3.4", "1.2.3.4.", "+1.2.3.4",
            "1.2.3.4 ", "0x1.2.3.4", "1.2.3.1000", "localhost", "١.2.3.4",
        ])
    func noIPv4(text: String) { #expect(IPAddress(text) == nil) }

    @Test(
        "an IPv4 address reads and writes the same", arguments: ["0.0.0.0", "192.0.2.1", "255.255.255.255", "1.0.0.1"])
    func ipv4(text: String) { #expect(IPAddress(text).map { "\($0)" } == text) }

    @Test("an IPv4 address is a number in host order")
    func hostOrder() { #expect(IPAddress("192.0.2.1") == .v4(0xC000_0201)) }

    @Test("only the two zero addresses are unspecified")
    func unspecified() {
        #expect(IPAddress("0.0.0.0")?.isUnspecified == true)
        #expect(IPAddress("::")?.isUnspecified == true)
        #expect(IPAddress("::1")?.isUnspecified == false)
    }
}
