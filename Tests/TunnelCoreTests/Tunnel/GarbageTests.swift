import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct GarbageTests {
    @Test("random datagrams of every length are dropped and get no answer")
    func random() {
        let pair = Pair()
        pair.connect()
        var noise = Noise(seed: 41)
        for length in Array(0...2000) + [4096, 9000, 30_000, 65_506, 65_507] {
            var bytes = noise.bytes(length)
            pair.link.deliver(bytes, to: pair.bob, from: site(9).endpoint)
            guard length > 0 else { continue }
            for type in 0...5 as ClosedRange<UInt8> {
                bytes.replaceSubrange(0..<min(4, length), with: [type, 0, 0, 0].prefix(length))
                pair.link.deliver(bytes, to: pair.bob, from: site(9).endpoint)
            }
        }
        #expect(pair.link.sightings.summary == [])
        #expect(pair.bob.received.isEmpty)
        pair.expectAlive()
    }

    @Test("zeros and ones of every length are dropped", arguments: [0, 1, 4, 255] as [UInt8])
    func constant(byte: UInt8) {
        let pair = Pair()
        for length in 0...200 {
            pair.link.deliver([UInt8](repeating: byte, count: length), to: pair.bob, from: site(9).endpoint)
        }
        #expect(pair.link.sightings.summary == [])
        #expect(pair.bob.drops(.malformed) + pair.bob.drops(.unknownIndex) == 201)
    }

    @Test("truncated, lengthened and damaged copies of real datagrams get no answer that is larger than the question")
    func copies() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.link.send(udp(1, 2, text(500)), from: pair.alice)
        pair.link.run(for: .seconds(1))
        pair.link.send(udp(1, 2, text(500)), from: pair.alice)
        pair.link.drain()
        let originals = pair.link.sightings.sent(by: pair.alice).map(\.bytes)
        #expect(originals.count >= 4)
        pair.forget()
        var noise = Noise(seed: 42)
        for original in originals {
            for length in 0..<original.count {
                pair.ask(Array(original.prefix(length)))
                pair.ask(original + noise.bytes(length))
                pair.ask(Array(original.dropFirst(length)))
            }
            for place in original.indices {
                for bit in 0..<8 {
                    var damaged = original
                    damaged[place] ^= 1 << UInt8(bit)
                    pair.ask(damaged)
                }
            }
            pair.ask(original)
        }
        #expect(pair.bob.received.count == 0)
        pair.expectAlive()
    }

    @Test("an initiation of 148 bytes is answered by 92, and nothing unauthenticated is answered at all")
    func amplification() {
        let pair = Pair()
        pair.link.send(udp(1, 2, payload: 10), from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.filter(\.isInitiation).count == 1)
        #expect(pair.link.sightings.sent(by: pair.bob).map(\.bytes.count) == [92])
    }

    @Test("garbage from the device is dropped", arguments: [4, 6, 0, 15] as [UInt8])
    func device(version: UInt8) {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        var noise = Noise(seed: 43)
        for length in 0...1500 {
            var packet = PacketView(noise.bytes(length))
            if length > 0 { packet.version = version }
            pair.link.send(packet.bytes, from: pair.alice)
        }
        #expect(pair.alice.drops(.notIP) + pair.alice.drops(.noPeer) + pair.alice.drops(.multicast) == 1501)
        pair.expectAlive()
    }

    @Test("garbage to a peer's address, with any header and any ports, goes through the rules of compression unharmed")
    func devicePackets() {
        let pair = Pair(CompressionPolicy(.auto), CompressionPolicy(.auto))
        pair.connect()
        var noise = Noise(seed: 44)
        for length in 20...600 {
            var four = PacketView(v4(1, 2, length: length))
            four.headerWords = UInt8(5 + noise.next() % 11)
            four.transport = [6, 17, 50, 44][Int(noise.next() % 4)]
            pair.link.send(four.bytes, from: pair.alice)
            var six = PacketView(packet(site(1).v6, site(2).v6, transport: 17, ports: (1, 2), noise.bytes(length)))
            six.transport = UInt8(truncatingIfNeeded: noise.next())
            six.length = 40 + Int(noise.next() % UInt64(six.bytes.count - 39))
            pair.link.send(six.bytes, from: pair.alice)
            pair.link.drain()
        }
        #expect(pair.bob.received.count > 581)
        pair.expectAlive()
    }
}

extension Pair {
    /// Delivers a datagram to bob, whose answer must not be larger.
    fileprivate func ask(_ datagram: [UInt8]) {
        let before = link.sightings.count
        link.deliver(datagram, to: bob, from: site(9).endpoint)
        let answers = link.sightings.dropFirst(before)
        #expect(answers.reduce(0) { $0 + $1.bytes.count } <= datagram.count)
    }

    fileprivate func expectAlive(_ location: SourceLocation = #_sourceLocation) {
        link.run(for: .seconds(1))
        forget()
        link.send(udp(1, 2, payload: 77), from: alice)
        link.send(udp(2, 1, payload: 78), from: bob)
        link.drain()
        #expect(bob.received == [udp(1, 2, payload: 77)], sourceLocation: location)
        #expect(alice.received == [udp(2, 1, payload: 78)], sourceLocation: location)
    }
}
