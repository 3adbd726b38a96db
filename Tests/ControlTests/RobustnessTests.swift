import Control
import Testing

@Suite struct RobustnessTests {
    @Test("no text makes the parser do anything but answer, and each diagnostic is one line")
    func mutatedText() {
        let text = """
            [Interface]
            PrivateKey = \(Sample.privateKey)
            Address = 10.0.0.1/24, fd00::1/64
            DNS = 10.0.0.53, corp.example
            #: Offload = tun-tso udp-gro
            [Peer]
            PublicKey = \(Sample.a)
            AllowedIPs = 0.0.0.0/0, ::/0
            Endpoint = [2001:db8::1]:51820
            #: CompressionSkip = tcp/80-81, 10.0.0.0/8
            """
        let alphabet = Array("[]#:=,/.-%+\n\r\t\u{0} 09afxé\u{301}".utf8) + [0x80, 0xff, 0xc3]
        var randomness = Sequence64(state: 1)
        for _ in 0..<1000 {
            var bytes = Array(text.utf8)
            for _ in 0..<Int.random(in: 1...12, using: &randomness) {
                let place = Int.random(in: 0..<bytes.count, using: &randomness)
                let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &randomness)]
                switch Int.random(in: 0..<3, using: &randomness) {
                case 0: bytes[place] = byte
                case 1: bytes.insert(byte, at: place)
                default: bytes.removeSubrange(place..<min(bytes.count - 1, place + 9))
                }
            }
            let (configuration, diagnostics) = parse(String(decoding: bytes, as: UTF8.self))
            #expect((configuration == nil) == diagnostics.hasErrors)
            for diagnostic in diagnostics {
                let line = diagnostic.description
                #expect(!line.utf8.contains { $0 < 32 })
            }
        }
    }

    @Test("a very long line is neither slow nor shown whole")
    func longLine() throws {
        let (_, diagnostics) = parse(String(repeating: "x", count: 500_000) + " = 1\n[Interface]\n")
        let first = try #require(diagnostics.first)
        #expect(first.description.count < 300)
    }
}

/// The same numbers in every run (splitmix64).
private struct Sequence64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
