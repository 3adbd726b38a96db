import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

/// What is for everybody reaches everybody, however many sites there are.
@Suite struct FloodTests {
    private static let count = 500

    @Test("frames to everybody reach each of 500 sites, those of one read and of one record too; none is lost")
    func many() throws {
        let sites = Sites(Self.count)
        let frames = [46, 600, 1500, 46, 1500].enumerated().map { number, size in
            ethernet(host(1, UInt16(number)), .everybody, [UInt8(number)] + text(size - 1))
        }
        sites.link.send(ethernet: frames, from: sites.hub)
        sites.link.drain()
        for site in sites.leaves { #expect(site.received == frames) }
        #expect(sites.hub.drops(.overflow) == 0)

        // One that stands for twenty, to a host that nobody has seen.
        var segment = Segment(isTCP: false)
        segment.payload = text(20_000)
        let read = segment.frame(segment: 1000)
        let whole = ethernet(host(1), host(9), ip: Array(read[10...]))
        sites.forget()
        sites.link.send(frames: [shifted(Array(read[..<10]), by: 14) + whole], from: sites.hub)
        sites.link.drain()
        let packets = try #require(kernelSplit(read)).map { ethernet(host(1), host(9), ip: $0) }
        for site in sites.leaves { #expect(site.received == packets) }
        #expect(sites.hub.drops(.overflow) == 0)
    }

    @Test("a hub passes a site's frames to everybody on to all others, in their order")
    func hub() throws {
        let sites = Sites(Self.count)
        let frames = (0..<2).map { ethernet(host(2, $0), .everybody, [UInt8($0)] + text(900)) }
        for piece in fragmentRecords(record(0x1b, 1, frameList(frames)), number: 60_000, count: 3) {
            let datagram = try #require(sites.leaves[250].seal(piece, to: sites.hub))
            sites.link.deliver(datagram, to: sites.hub, from: sites.leaves[250].endpoint)
        }
        sites.link.drain()
        for (number, site) in sites.leaves.enumerated() { #expect(site.received == (number == 250 ? [] : frames)) }
        #expect(sites.hub.received == frames)
        #expect(sites.hub.drops(.overflow) == 0)
    }

    @Test(
        "ten frames of a site to everybody that come at once all go on; of a hundred some are dropped, and counted as its own"
    )
    func burst() throws {
        let sites = Sites(Self.count)
        for count in [10, 100] {
            sites.forget()
            let frames = (0..<count).map { ethernet(host(2), .everybody, [UInt8($0)] + text(900)) }
            let datagrams = try frames.map {
                try #require(sites.leaves[3].seal(ethernetRecord($0).padded, to: sites.hub))
            }
            for datagram in datagrams {
                sites.link.deliver(datagram, to: sites.hub, from: sites.leaves[3].endpoint)
                // Another turn, and no time in which anything could be earned.
                sites.link.run(for: Interval(nanoseconds: 100))
            }
            sites.link.run(for: .seconds(1))
            let passed = sites.leaves[0].received
            let dropped = sites.hub.drops(.budget, of: sites.leaves[3])
            #expect(passed.count + Int(dropped) == count && passed == Array(frames.prefix(passed.count)))
            #expect(count == 10 ? dropped == 0 : (80...95).contains(dropped))
            for (number, site) in sites.leaves.enumerated() where number != 3 { #expect(site.received == passed) }
        }
        #expect(sites.hub.drops(.overflow) == 0)
    }

    @Test("what has no room to wait is dropped and counted, and what waits is not harmed")
    func bound() {
        var floods = Floods(isUsed: true)
        let frame = text(1500)
        var kept = 0
        while floods.append(unsafe frame.span.bytes, from: .here, next: kept) { kept += 1 }
        #expect(kept == 256 * 1024 / 1500)
        for number in 0..<kept {
            let next = floods.current?.next
            #expect(next == number)
            floods.removeFirst()
        }
        let isEmpty = floods.isEmpty && floods.current == nil
        #expect(isEmpty)
    }
}

/// A hub and its sites, which all have a session with it.
private struct Sites {
    let link = Link()
    let hub: End
    let leaves: [End]

    init(_ count: Int) {
        link.listens = false
        let mode = TunnelMode.frames(isHub: true)
        var options = Pair.Options(mode: mode)
        options.packs = true
        hub = End(privateKey(1), Self.place(0).endpoint, seed: 1, mode: mode)
        link.add(hub)
        leaves = (1...count).map {
            End(privateKey(UInt64($0) + 1), Self.place($0).endpoint, seed: UInt64($0) + 1, mode: .frames(isHub: false))
        }
        for (number, leaf) in leaves.enumerated() {
            link.add(leaf)
            for (end, other, site) in [(hub, leaf, Self.place(number + 1)), (leaf, hub, Self.place(0))] {
                link.change(end) { tunnel, now in
                    tunnel.mtu = 1500
                    tunnel.setPeer(other.publicKey, Pair.configuration(site, options), at: now)
                }
            }
        }
        link.send(ethernet: [ethernet(host(1), .everybody, text(46))], from: hub)
        link.run(for: .seconds(3))
        forget()
    }

    func forget() { for end in leaves + [hub] { end.received = [] } }

    private static func place(_ number: Int) -> Site {
        let outer = Endpoint(.v4(0xc612_0000 | UInt32(number)), port: 51820)
        return Site(endpoint: outer, v4: .v4(0x0a00_0000), v6: .v6(1), allowedIPs: [])
    }
}
