import Addresses
import Testing

@Suite struct MACAddressTests {
    @Test(
        "an address is six bytes between colons or hyphens, and is written in lowercase between colons",
        arguments: [
            ("52:54:00:12:34:56", "52:54:00:12:34:56"), ("0A-0B-0C-0D-0E-0F", "0a:0b:0c:0d:0e:0f"),
            ("ff:ff:ff:ff:ff:ff", "ff:ff:ff:ff:ff:ff"), ("00:00:00:00:00:00", "00:00:00:00:00:00"),
        ])
    func read(text: String, expected: String) { #expect(MACAddress(text).map { "\($0)" } == expected) }

    @Test(
        "text that is no address is refused",
        arguments: [
            "", "52:54:00:12:34", "52:54:00:12:34:56:78", "52:54:00:12:34:5", "52:54:00:12:34:056", "52:54:00:12:34:5g",
            "+2:54:00:12:34:56", "52:+4:00:12:34:56", "525400123456", ":52:54:00:12:34:56", "52:54:00:12:34:56 ",
        ])
    func refused(text: String) { #expect(MACAddress(text) == nil) }

    @Test("the first byte on the wire says whether many are meant")
    func group() throws {
        #expect(try #require(MACAddress("01:00:5e:00:00:01")).isGroup)
        #expect(try #require(MACAddress("ff:ff:ff:ff:ff:ff")).isGroup)
        #expect(try !#require(MACAddress("52:54:00:12:34:57")).isGroup)
        #expect(MACAddress(0x5254_0012_3456).description == "52:54:00:12:34:56")
        #expect(MACAddress(.max).bits == 0xffff_ffff_ffff)
    }
}
