import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct EthernetFrameTests {
    @Test("what is shorter than two addresses and a type is no frame")
    func runts() {
        let frame = ethernet(host(1), host(2), text(46))
        for length in 0..<14 { #expect(read(Array(frame.prefix(length))) == nil) }
        for length in 14...60 { #expect(read(Array(frame.prefix(length)))?.payload == 14) }
    }

    @Test("the destination stands before the source")
    func addresses() {
        let frame = read([1, 2, 3, 4, 5, 6, 0xa7, 0xb8, 0xc9, 0xda, 0xeb, 0xfc, 8, 0])
        #expect(frame?.destination.description == "01:02:03:04:05:06")
        #expect(frame?.source.description == "a7:b8:c9:da:eb:fc")
    }

    @Test(
        "the lowest bit of the first byte makes an address one for a group",
        arguments: [
            ("ff:ff:ff:ff:ff:ff", true), ("01:00:5e:00:00:fb", true), ("33:33:00:00:00:01", true),
            ("01:80:c2:00:00:00", true), ("03:00:00:00:00:00", true), ("00:00:00:00:00:00", false),
            ("02:00:00:00:00:01", false), ("fe:ff:ff:ff:ff:ff", false), ("52:54:00:11:11:01", false),
        ])
    func groups(address: String, isGroup: Bool) throws {
        let address = try #require(MACAddress(address))
        let to = try #require(read(ethernet(host(1), address, [])))
        let from = try #require(read(ethernet(address, host(1), [])))
        #expect(to.destination.isGroup == isGroup && !to.source.isGroup)
        #expect(from.source.isGroup == isGroup && !from.destination.isGroup)
    }

    @Test(
        "the payload starts behind up to two VLAN tags, of the customer's or the provider's kind",
        arguments: [
            ([], 14), ([0x8100], 18), ([0x88a8], 18), ([0x88a8, 0x8100], 22), ([0x8100, 0x8100], 22),
            // A third is payload.
            ([0x8100, 0x8100, 0x8100], 22), ([0x9100], 14),
        ] as [([UInt16], Int)])
    func tags(tags: [UInt16], start: Int) {
        let hidesType = tags.count > 2 || tags == [0x9100]
        for (type, isIP) in [(0x0800, true), (0x86dd, true), (0x0806, false), (0x88b5, false), (46, false)] {
            let frame = read(ethernet(host(1), host(2), text(46), type: UInt16(type), tags: tags))
            #expect(frame?.payload == start)
            #expect(frame?.isIP == (isIP && !hidesType))
        }
    }

    @Test("a frame that ends within a tag, or right behind one, is a frame that holds no IP")
    func cutOff() throws {
        let frame = ethernet(host(1), host(2), ip: udp(1, 2, text(20)), tags: [0x88a8, 0x8100])
        for length in 14..<22 {
            let cut = try #require(read(Array(frame.prefix(length))))
            #expect(!cut.isIP && cut.payload <= length)
        }
        #expect(read(Array(frame.prefix(22)))?.isIP == true)
    }

    private func read(_ bytes: [UInt8]) -> EthernetFrame? { EthernetFrame(unsafe bytes.span.bytes) }
}
