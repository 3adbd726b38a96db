import Testing

@testable import Capture

@Suite struct FrameContentTests {
    @Test(
        "each kind of link gives the packet, without what it adds",
        arguments: [
            (.raw, []), (.rawBSD, []), (.rawOpenBSD, []), (.ethernet, macs + [8, 0]),
            (.ethernet, macs + [0x81, 0, 0, 5, 8, 0]), (.ethernet, macs + [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0]),
            (.linuxSLL, [UInt8](repeating: 0, count: 14) + [8, 0]),
            (.linuxSLL2, [8, 0] + [UInt8](repeating: 0, count: 18)),
            (.null, [2, 0, 0, 0]), (.null, [0, 0, 0, 2]), (.loop, [0, 0, 0, 2]), (.ipv4, []),
        ] as [(LinkType, [UInt8])])
    func links(link: LinkType, header: [UInt8]) {
        #expect(frame(link, header + v4()).content == .packet(v4()))
        // What a network card adds to frames that are too short.
        #expect(frame(link, header + v4() + [0, 0, 0]).content == .packet(v4()))
    }

    @Test("IPv6 has its own types and families")
    func v6Links() {
        #expect(frame(.ethernet, macs + [0x86, 0xdd] + v6()).content == .packet(v6()))
        for family in [10, 24, 28, 30] as [UInt8] {
            #expect(frame(.null, [family, 0, 0, 0] + v6()).content == .packet(v6()))
        }
        #expect(frame(.ipv6, v6()).content == .packet(v6()))
    }

    @Test("what was cut is known, at every length; padding that was cut does no harm")
    func cut() {
        let whole = macs + [0x81, 0, 0, 5, 8, 0] + v4()
        for length in 0..<whole.count {
            #expect(frame(.ethernet, Array(whole[..<length]), original: whole.count).content == .cut)
            #expect(frame(.ethernet, Array(whole[..<length])).content == .notIP)
        }
        #expect(frame(.ethernet, whole, original: 64).content == .packet(v4()))
    }

    @Test("other protocols, damaged headers and other links are no packets")
    func others() {
        #expect(frame(.ethernet, macs + [8, 6] + v4()).content == .notIP)
        #expect(frame(.null, [7, 0, 0, 0] + v4()).content == .notIP)
        #expect(frame(.raw, [0x55] + v4().dropFirst()).content == .notIP)
        #expect(frame(.raw, [0x44] + v4().dropFirst()).content == .notIP)
        #expect(frame(LinkType(rawValue: 127), v4()).content == .unknownLink)
    }

    @Test("a super-segment whose length was left to the network card gets the length that it has")
    func superSegment() {
        var packet = v4()
        packet[9] = 6
        var open = packet
        open[2] = 0
        open[3] = 0
        #expect(frame(.ethernet, macs + [8, 0] + open).content == .packet(packet))
        #expect(frame(.raw, open, original: 70_000).content == .notIP)
    }
}

private let macs = [UInt8](repeating: 2, count: 12)

private func frame(_ link: LinkType, _ bytes: [UInt8], original: Int? = nil) -> CapturedFrame {
    CapturedFrame(time: 0, link: link, bytes: bytes, originalLength: original ?? bytes.count)
}
