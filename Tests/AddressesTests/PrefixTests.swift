import Addresses
import Testing

@Suite struct PrefixTests {
    @Test(
        "the bits behind a prefix are cleared",
        arguments: [
            ("10.1.2.3/16", "10.1.0.0/16"), ("10.1.2.3", "10.1.2.3/32"), ("10.1.2.3/32", "10.1.2.3/32"),
            ("255.255.255.255/0", "0.0.0.0/0"), ("10.0.0.129/25", "10.0.0.128/25"),
            ("2001:db8:ffff::1/33", "2001:db8:8000::/33"), ("2001:db8::1", "2001:db8::1/128"), ("ffff::/0", "::/0"),
        ])
    func cleared(text: String, expected: String) { #expect(Prefix(text).map { "\($0)" } == expected) }

    @Test(
        "text that is no prefix is refused",
        arguments: [
            "", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0/8",
        ])
    func refused(text: String) { #expect(Prefix(text) == nil) }

    @Test("a prefix holds the addresses of its family that share its bits, and no others")
    func contains() throws {
        let prefix = try #require(Prefix("10.1.0.0/16"))
        #expect(try prefix.contains(#require(IPAddress("10.1.255.255"))))
        #expect(try !prefix.contains(#require(IPAddress("10.2.0.0"))))
        #expect(try !prefix.contains(#require(IPAddress("::ffff:10.1.0.1"))))
        let all = try #require(Prefix("::/0"))
        #expect(try all.contains(#require(IPAddress("2001:db8::1"))))
        #expect(try !all.contains(#require(IPAddress("10.1.0.1"))))
    }

    @Test("an interface's address keeps its host bits and knows its network")
    func interfaceAddress() throws {
        let address = try #require(InterfaceAddress("10.1.0.7/24"))
        #expect("\(address)" == "10.1.0.7/24")
        #expect("\(address.prefix)" == "10.1.0.0/24")
    }

    @Test("a length that does not fit the family makes no prefix")
    func length() {
        #expect(Prefix(.v4(0), length: 33) == nil)
        #expect(Prefix(.v4(0), length: -1) == nil)
        #expect(Prefix(.v6(0), length: 128) != nil)
    }
}
