import Keys
import Testing

@Suite struct KeyTextTests {
    @Test("base64 and hex give the same key back")
    func roundTrips() {
        for _ in 0..<100 {
            let key = PrivateKey.generate().publicKey
            #expect(PublicKey("\(key)") == key)
            #expect(PublicKey(hex: key.hex) == key)
            #expect("\(key)".utf8.count == 44)
            #expect(key.hex.utf8.count == 64)
        }
    }

    @Test("every value of every byte survives base64")
    func everyByte() {
        for value in UInt8.min...UInt8.max {
            var bytes = InlineArray<32, UInt8>(repeating: value)
            bytes[31] = 255 - value
            let key = PublicKey(bytes: bytes)
            #expect(PublicKey("\(key)") == key)
            #expect(PublicKey(hex: key.hex) == key)
        }
    }

    @Test(
        "text of another length or alphabet is no key",
        arguments: [
            "", String(repeating: "A", count: 42) + "=", String(repeating: "A", count: 44) + "=",
            String(repeating: "A", count: 44), String(repeating: "A", count: 42) + "==",
            String(repeating: "A", count: 42) + "-=", String(repeating: "A", count: 42) + " =",
            "=" + String(repeating: "A", count: 43), String(repeating: "A", count: 42) + "\u{0}=",
            String(repeating: "é", count: 21) + "A=",
        ])
    func refused(text: String) { #expect(PublicKey(text) == nil) }

    @Test("a last digit with bits that are no part of the key is refused")
    func canonical() {
        let head = String(repeating: "A", count: 42)
        let accepted = Set("AEIMQUYcgkosw048")
        for digit in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
            #expect((PublicKey("\(head)\(digit)=") != nil) == accepted.contains(digit))
        }
    }

    @Test("hex takes both cases and exactly 64 digits")
    func hex() {
        let digits = String(repeating: "aB", count: 32)
        #expect(PublicKey(hex: digits)?.hex == digits.lowercased())
        #expect(PublicKey(hex: digits.dropLast()) == nil)
        #expect(PublicKey(hex: digits + "0") == nil)
        #expect(PublicKey(hex: digits.dropLast() + "g") == nil)
        #expect(PublicKey(hex: digits.dropLast() + "/") == nil)
        #expect(PublicKey(hex: digits.dropLast() + ":") == nil)
    }
}
