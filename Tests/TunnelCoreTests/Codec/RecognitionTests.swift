import Addresses
import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

private let auto = CompressionPolicy(.auto)

/// Which flows are left alone, by what they begin with, by rule, and by what came of trying.
@Suite struct RecognitionTests {
    static let encryptedStreams: [[UInt8]] = [
        // TLS: handshake (ClientHello), change of cipher, alert, application data; of 1.0 to 1.3.
        [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3], [0x16, 3, 3, 0, 0x7a, 2, 0, 0], [0x14, 3, 3, 0, 1, 1, 0x17, 3],
        [0x15, 3, 1, 0, 2, 2, 40, 0], [0x17, 3, 3, 0x40, 0, 9, 9, 9], [0x17, 3, 3, 0x41, 0, 9, 9, 9],
        Array("SSH-2.0-OpenSSH_9.2p1".utf8), Array("SSH-1.99-x".utf8),
    ]
    static let encryptedDatagrams: [[UInt8]] = [
        // QUIC: long headers of version 1 and 2.
        [0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8], [0xff, 0, 0, 0, 1, 8, 1, 2],
        [0xd3, 0x6b, 0x33, 0x43, 0xcf, 8, 1, 2],
        // DTLS 1.0, 1.2.
        [0x16, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0x17, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1],
    ]
    static let compressed: [[UInt8]] = [
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], [0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0],
        [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 4], Array("BZh91AY&SY".utf8), [0x50, 0x4b, 3, 4, 20, 0, 0, 0],
        [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10], [0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46],
        [4, 0x22, 0x4d, 0x18, 0x64, 0, 0, 0],
    ]

    @Test("a stream that begins as TLS or SSH is left alone from its first packet on", arguments: encryptedStreams)
    func streams(bytes: [UInt8]) {
        expect(bytes, isTCP: true, .encrypted)
    }

    @Test("datagrams that begin as QUIC or DTLS are left alone", arguments: encryptedDatagrams)
    func datagrams(bytes: [UInt8]) {
        expect(bytes, isTCP: false, .encrypted)
    }

    @Test("WireGuard inside is left alone, on whatever port")
    func wireGuard() {
        let pair = Pair()
        pair.link.send(udp(1, 2, text(1000)), from: pair.alice)
        pair.link.run(for: .seconds(1))
        pair.link.send(udp(2, 1, text(1000)), from: pair.bob)
        let kinds = pair.link.sightings.filter { $0.bytes.count > 32 }
        #expect(kinds.summary == ["initiation", "response", "packet", "packet"])
        for sighting in kinds {
            let payload = unsafe sighting.bytes.span.bytes
            #expect(Recognition(payload, isUDP: true) == .encrypted)
        }
    }

    @Test("what begins as a compressed format is tried once in 64 packets or less", arguments: compressed)
    func formats(bytes: [UInt8]) {
        for isTCP in [true, false] {
            let pair = Pair(auto, auto)
            pair.connect()
            pair.link.send(flow(bytes + text(600), isTCP: isTCP), from: pair.alice)
            for _ in 0..<60 { pair.link.send(flow(text(1000), isTCP: isTCP), from: pair.alice) }
            #expect(pair.link.sightings.data.allSatisfy { $0.isPlain })
            #expect(pair.alice.statistics(of: pair.bob)?.traffic.skipped[CompressionSkip.backoff.rawValue] == 61)
            // It was a header before something else: in the end it is found out.
            for _ in 0..<10 { pair.link.send(flow(text(1000), isTCP: isTCP), from: pair.alice) }
            #expect(pair.link.sightings.data.last?.isUnit == true)
        }
    }

    @Test("text, zeros and what only resembles a known beginning are not taken for one")
    func others() {
        let beginnings: [[UInt8]] = [
            Array("GET / HTTP/1.1".utf8), [], [0], [UInt8](repeating: 0, count: 9), Array("{\"a\": 1, ".utf8),
            // No version of TLS, a record longer than there can be, SSH in lower case.
            [0x16, 4, 1, 2, 0, 1, 0, 1], [0x18, 3, 1, 2, 0, 1, 0, 1], [0x16, 3, 5, 2, 0, 1, 0, 1],
            [0x16, 3, 3, 0x50, 1, 1, 0, 1], Array("ssh-2.0-x".utf8), [0x1f, 0x8b, 7, 0, 0, 0, 0, 0],
        ]
        for bytes in beginnings {
            let pair = Pair(auto, auto)
            pair.connect()
            pair.link.send(flow(bytes + text(900), isTCP: true), from: pair.alice)
            #expect(pair.link.sightings.data.summary == ["unit"], "\(bytes)")
        }
        // What is encrypted as a stream is not as a datagram, and the other way round.
        for (bytes, isUDP) in [(Self.encryptedStreams[6], true), (Self.encryptedDatagrams[0], false)] {
            let payload = unsafe bytes.span.bytes
            #expect(Recognition(payload, isUDP: isUDP) == .unknown)
        }
    }

    @Test("every beginning of any length and content is looked at without harm")
    func anything() {
        var noise = Noise(seed: 1)
        for round in 0..<20_000 {
            var bytes = noise.bytes(Int(noise.next() % 40))
            if round % 3 == 0, !bytes.isEmpty { bytes[0] = [4, 0x16, 0xc0, 0x1f, 0x53][round % 5] }
            let payload = unsafe bytes.span.bytes
            let stream = Recognition(payload, isUDP: false)
            let datagram = Recognition(payload, isUDP: true)
            if bytes.count < 8 { #expect(stream == .unknown && datagram == .unknown) }
        }
    }

    @Test("noise looks random, and what compresses does not")
    func random() {
        var noise = Noise(seed: 2)
        for round in 0..<500 {
            let bytes = noise.bytes(256 + round * 7)
            let looks = unsafe Recognition.looksRandom(bytes.span.bytes)
            #expect(looks)
            let letters = bytes.map { 0x41 + $0 % 64 }
            let looksSo = unsafe Recognition.looksRandom(letters.span.bytes)
            #expect(!looksSo)
        }
        for count in [0, 1, 255] {
            let bytes = noise.bytes(count)
            let looks = unsafe Recognition.looksRandom(bytes.span.bytes)
            #expect(!looks)
        }
        let lines = text(2000)
        let looks = unsafe Recognition.looksRandom(lines.span.bytes)
        #expect(!looks)
    }

    @Test("the first payload decides, not what a handshake of TCP has before it")
    func handshakeFirst() {
        let pair = Pair(auto, auto)
        pair.connect()
        for _ in 0..<3 { pair.link.send(flow([], isTCP: true), from: pair.alice) }
        pair.link.send(flow(Self.encryptedStreams[0] + text(500), isTCP: true), from: pair.alice)
        pair.link.send(flow(text(1000), isTCP: true), from: pair.alice)
        #expect(pair.link.sightings.data.allSatisfy { $0.isPlain })
    }

    @Test("a verdict is about one flow")
    func oneFlow() {
        let pair = Pair(auto, auto)
        pair.connect()
        pair.link.send(flow(Self.encryptedStreams[0] + text(500), isTCP: true), from: pair.alice)
        pair.link.send(flow(text(1000), isTCP: true, port: 6001), from: pair.alice)
        pair.link.send(flow(text(1000), isTCP: true), from: pair.alice)
        #expect(pair.link.sightings.data.summary == ["packet", "unit", "packet"])
    }

    @Test("the operator's rules come before what the bytes say, and a change of them forgets every verdict")
    func rules() {
        let pair = Pair(auto, auto)
        pair.connect()
        let send = { () -> String? in
            pair.forget()
            pair.link.send(flow(text(1000), isTCP: true), from: pair.alice)
            return pair.link.sightings.data.summary.last
        }
        let set = { (policy: CompressionPolicy) in
            pair.link.change(pair.alice) { tunnel, now in
                tunnel.setOptions(policy, .chacha20poly1305, of: pair.bob.publicKey, at: now)
            }
        }
        let port = TrafficRules([.ports(6000...6000, transport: 6)])
        let other = TrafficRules([.ports(6001...6001, transport: 6)])
        #expect(send() == "unit")
        set(CompressionPolicy(.auto, skip: port))
        #expect(send() == "packet")
        set(CompressionPolicy(.auto, skip: other))
        #expect(send() == "unit")
        set(CompressionPolicy(.auto, only: other))
        #expect(send() == "packet")
        set(CompressionPolicy(.auto, skip: port, only: port))
        #expect(send() == "packet")
        set(CompressionPolicy(.auto, only: port))
        #expect(send() == "unit")
        set(CompressionPolicy(.codec(.deflate), skip: port))
        #expect(send() == "packet")
        set(CompressionPolicy(.receive))
        #expect(send() == "packet")
        set(auto)
        #expect(send() == "unit")
        // A verdict by first bytes as well.
        pair.link.send(flow(Self.encryptedStreams[0] + text(900), isTCP: true, port: 6007), from: pair.alice)
        set(CompressionPolicy(.auto, skip: other))
        pair.forget()
        pair.link.send(flow(text(1000), isTCP: true, port: 6007), from: pair.alice)
        #expect(pair.link.sightings.data.summary == ["unit"])
    }

    @Test("what does not shrink is tried less and less, and found again when it does")
    func backoff() {
        for policy in [auto, CompressionPolicy(.codec(.deflate)), CompressionPolicy(.codec(.zstd))] {
            let pair = Pair(policy, policy)
            pair.connect()
            var noise = Noise(seed: 6)
            // It does not look random, and does not compress either: every byte once, then in another order.
            for _ in 0..<2000 {
                let bytes = (0..<4).flatMap { _ in (0...255 as ClosedRange<UInt8>).shuffled(using: &noise) }
                pair.link.send(flow(bytes, isTCP: false), from: pair.alice)
            }
            #expect(pair.link.sightings.data.allSatisfy { $0.isPlain })
            let skipped = pair.alice.statistics(of: pair.bob)?.traffic.skipped[CompressionSkip.backoff.rawValue] ?? 0
            #expect(skipped > 1980)
            pair.forget()
            for _ in 0..<520 { pair.link.send(flow(text(1000), isTCP: false), from: pair.alice) }
            #expect(pair.link.sightings.data.last?.isUnit == true)
        }
    }

    private func expect(_ bytes: [UInt8], isTCP: Bool, _ reason: CompressionSkip) {
        let pair = Pair(auto, auto)
        pair.connect()
        pair.link.send(flow(bytes + text(600), isTCP: isTCP), from: pair.alice)
        for _ in 0..<200 { pair.link.send(flow(text(1000), isTCP: isTCP), from: pair.alice) }
        #expect(pair.link.sightings.data.count == 201 && pair.link.sightings.data.allSatisfy { $0.isPlain })
        #expect(pair.alice.statistics(of: pair.bob)?.traffic.skipped[reason.rawValue] == 201)
    }
}

/// A packet of a flow on ports that say nothing.
private func flow(_ content: [UInt8], isTCP: Bool, port: UInt16 = 6000) -> [UInt8] {
    Segment(isTCP: isTCP, ports: (5000, port), payload: content).bytes
}
