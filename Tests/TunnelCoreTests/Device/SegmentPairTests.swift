import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

/// A super-segment goes in at one tunnel and a frame comes out at the other: the whole chain, with every cipher and with
/// and without compression.
@Suite struct SegmentPairTests {
    @Test(arguments: [CipherPolicy.chacha20poly1305, .aes256gcm], [CompressionPolicy.off, .init(.codec(.deflate))])
    func aSuperSegmentArrivesAsTheFrameThatItWas(cipher: CipherPolicy, compression: CompressionPolicy) throws {
        guard cipher == .chacha20poly1305 || CipherSuite.hasAESInstructions else { return }
        let wire = Wire(cipher, compression)
        for isV6 in [false, true] {
            for isTCP in [false, true] {
                for (size, count) in [(1368, 62_000), (1368, 2000), (500, 31_000), (101, 303), (37, 2000), (1000, 999)]
                {
                    var segment = Segment(isV6: isV6, isTCP: isTCP, fragment: 0, payload: text(count))
                    if !isTCP { segment.payload = Array(text(count).reversed()) }
                    let frame = count > size ? segment.frame(segment: size) : plain(segment)
                    let frames = wire.carry([frame])
                    let packets = (count + size - 1) / size
                    #expect(frames.count == (packets + 63) / 64)
                    let isSame = frames.compactMap(kernelSplit).flatMap { $0 } == kernelSplit(frame)
                    #expect(isSame)
                }
            }
        }
        #expect(wire.suite == (cipher == .aes256gcm ? .aes256gcm : .chacha20poly1305))
        #expect((wire.unitsReceived > 0) == (compression.mode != .off))
        #expect(wire.drops == 0)
    }

    @Test(arguments: [CipherPolicy.chacha20poly1305, .aes256gcm], [CompressionPolicy.off, .init(.codec(.deflate))])
    func mixedTrafficArrivesInOrderAndUnchanged(cipher: CipherPolicy, compression: CompressionPolicy) throws {
        guard cipher == .chacha20poly1305 || CipherSuite.hasAESInstructions else { return }
        let wire = Wire(cipher, compression)
        var noise = Noise(seed: 5)
        for _ in 0..<60 {
            let frames = (0..<1 + noise.next() % 6).map { _ in
                let segment = Segment(
                    isV6: noise.next() % 2 == 0, isTCP: noise.next() % 2 == 0,
                    trafficClass: UInt8(noise.next() % 3), fragment: 0,
                    ports: (UInt16(noise.next() % 3), 5000), sequence: UInt32(truncatingIfNeeded: noise.next()),
                    payload: noise.next() % 2 == 0 ? text(1200) : noise.bytes(1 + Int(noise.next() % 5000)))
                let size = 100 + Int(noise.next() % 1300)
                return segment.payload.count > size ? segment.frame(segment: size) : plain(segment)
            }
            // Of each flow; flows may overtake one another.
            let packets = byFlow(frames.compactMap(kernelSplit).flatMap { $0 })
            let isSame = byFlow(wire.carry(frames).compactMap(kernelSplit).flatMap { $0 }) == packets
            #expect(isSame)
        }
        #expect(wire.drops == 0)
    }

    @Test(
        "super-segments of a flow that follow each other in a unit become one write, and only those",
        arguments: [false, true])
    func unitsBecomeOneWrite(isV6: Bool) throws {
        let wire = Wire(.chacha20poly1305, .init(.codec(.deflate)))
        let frame = { (sequence: UInt32, count: Int, flags: UInt8, segment: Int) in
            Segment(
                isV6: isV6, identifier: UInt16(sequence / 1000), fragment: 0x4000, sequence: sequence, flags: flags,
                payload: text(count)
            )
            .frame(segment: segment)
        }
        let acknowledge = Segment.acknowledge
        for (second, writes) in [
            (frame(21_000, 20_000, acknowledge, 1000), 1), (frame(21_000, 20_500, acknowledge | Segment.push, 1000), 1),
            // A gap, another size, FIN, and more than a packet has.
            (frame(21_001, 20_000, acknowledge, 1000), 2), (frame(21_000, 20_000, acknowledge, 999), 2),
            (frame(21_000, 20_000, acknowledge | Segment.fin, 1000), 2), (frame(21_000, 45_000, acknowledge, 1000), 2),
        ] {
            let sent = [frame(1000, 20_000, acknowledge, 1000), second]
            let came = wire.carry(sent)
            #expect(came.count == writes)
            #expect(came.compactMap(kernelSplit).flatMap { $0 } == sent.compactMap(kernelSplit).flatMap { $0 })
        }
        // What is not full ends a write.
        let short = [frame(1000, 19_500, acknowledge, 1000), frame(20_500, 20_000, acknowledge, 1000)]
        #expect(wire.carry(short).count == 2)
        #expect(wire.drops == 0)
    }

    private func byFlow(_ packets: [[UInt8]]) -> [[UInt8]: [[UInt8]]] {
        Dictionary(grouping: packets) { bytes in
            let packet = PacketView(bytes)
            return [packet.transport] + packet.addresses + big(packet.ports.0) + big(packet.ports.1)
        }
    }

    /// As the device hands over a packet that needs nothing done but its checksum.
    private func plain(_ segment: Segment) -> [UInt8] {
        virtioHeader(
            flags: 1, 0, headerLength: 0, segment: 0, start: segment.transport, offset: segment.checksumOffset)
            + segment.bytes(isPartial: true)
    }
}

/// Two tunnels that talk, without a device and without a clock that moves.
private final class Wire {
    private let pair: Pair

    init(_ cipher: CipherPolicy, _ compression: CompressionPolicy) {
        pair = Pair()
        for (end, other, place) in [(pair.alice, pair.bob, site(2)), (pair.bob, pair.alice, site(1))] {
            pair.link.change(end) { tunnel, now in
                tunnel.inbox.mergesTCP = true
                tunnel.inbox.mergesUDP = true
                var configuration = PeerConfiguration(
                    endpoint: place.endpoint, allowedIPs: place.allowedIPs, compression: compression)
                configuration.cipher = cipher
                tunnel.setPeer(other.publicKey, configuration, at: now)
            }
        }
        pair.connect()
    }

    /// What the other end's device gets for frames of this end's, handed over in one batch.
    func carry(_ frames: [[UInt8]]) -> [[UInt8]] {
        let (alice, bob) = (pair.alice, pair.bob)
        var datagrams: [[UInt8]] = []
        for frame in frames {
            var buffer = frame
            do {
                var span = buffer.mutableSpan
                var bytes = unsafe span.mutableBytes
                alice.tunnel.handleDeviceRead(&bytes, at: pair.link.now(at: alice))
            }
            datagrams += alice.takeDatagrams().map(\.bytes)
        }
        while alice.tunnel.sendGathered(at: pair.link.now(at: alice)) {
            datagrams += alice.takeDatagrams().map(\.bytes)
        }
        var memory = Arena(capacity: datagrams.reduce(1) { $0 + $1.count })
        var used = 0
        for datagram in datagrams {
            var place = memory[used..<used + datagram.count]
            used += datagram.count
            unsafe place.copy(datagram.span.bytes, to: 0)
            bob.tunnel.handleDatagram(
                &place, from: Path(alice.endpoint), trafficClass: 0, at: pair.link.now(at: bob))
        }
        defer { withExtendedLifetime(memory) {} }
        return bob.driver.takeWrites().map { $0.virtio + $0.packet }
    }

    var suite: CipherSuite? {
        pair.alice.sessions(with: pair.bob.publicKey).first.map {
            pair.alice.tunnel.services.sessions[$0].forData.suite
        }
    }
    var unitsReceived: UInt64 { pair.bob.statistics(of: pair.alice)?.traffic.units[Int(Codec.deflate.rawValue)] ?? 0 }
    var drops: UInt64 {
        [pair.alice, pair.bob].reduce(0) { sum, end in
            let statistics = end.tunnel.statistics()
            return DropReason.allCases.reduce(sum) { sum, reason in
                sum + statistics.drops[reason] + statistics.peers.reduce(0) { $0 + $1.drops[reason] }
            }
        }
    }
}
