import Testing

@testable import TestKit
@testable import TunnelCore

/// What a unit of Ethernet frames has in common.
@Suite struct EthernetFlowTests {
    private let packet = udp(1, 2, text(900))

    @Test("frames with one pair of IP addresses and ports, but of different stations or VLANs, never share a unit")
    func units() {
        let frames = [
            ethernet(host(1), host(2), ip: packet), ethernet(host(1, 7), host(2), ip: packet),
            ethernet(host(1), host(2, 7), ip: packet), tagged(5), tagged(6), tagged(5, 9),
        ]
        let options = Pair.Options(compression: CompressionPolicy(.codec(.zstd)), mode: .frames(isHub: false))
        let pair = Pair(both: options)
        pair.connect()
        pair.link.send(ethernet: frames + frames, from: pair.alice)
        pair.link.drain()
        #expect(pair.link.sightings.sent(by: pair.alice).summary == frames.map { _ in "unit" })
        #expect(pair.bob.received.count == 2 * frames.count)
        #expect(Set(pair.bob.received) == Set(frames))
    }

    @Test("a hub keeps frames apart by the site that they come from")
    func ingress() throws {
        #expect(try find(from: 1) != find(from: 2))
        #expect(try find(from: MACTable.Place.here.number) != find(from: 2))
        #expect(try find(from: 1) == find(from: 1))
        #expect(try find(from: 1, tagged(0)) != find(from: 1))
        // A priority is no other VLAN.
        #expect(try find(from: 1, tagged(0x2005)) == find(from: 1, tagged(5)))
    }

    /// A frame with VLAN tags.
    private func tagged(_ tags: UInt16...) -> [UInt8] {
        let frame = ethernet(host(1), host(2), ip: packet)
        return frame[..<12] + tags.flatMap { [0x81, 0] + big($0) } + frame[12...]
    }

    private func find(from ingress: Int32, _ other: [UInt8]? = nil) throws -> FlowTable.Flow {
        var flows = FlowTable(seed: 1)
        let bytes = other ?? tagged()
        let frame = unsafe bytes.span.bytes
        let outer = EthernetFrame(frame)
        let ethernet = try #require(outer)
        let inner = frame.extracting(ethernet.payload..<frame.byteCount)
        let found = InternetPacket(inner)
        let header = try #require(found)
        return flows.find(inner, header, between: flows.stations(frame, ethernet, from: ingress), to: 0)
    }
}
