import Glibc
import Testing

@testable import TestKit
@testable import TunnelCore

/// The vectors of repair, parity and packs of docs/protocol.md §6, which are read from there.
@Suite struct RecordVectorTests {
    private let page = Page.values(of: "docs/protocol.md")

    @Test("RECEIPT and GONE are written as the page quotes them")
    func repair() throws {
        var missing = CounterRanges(below: 120)
        _ = missing.append(110..<113)
        _ = missing.append(101..<106)
        let receipt = ReceiptRecord(
            isAES: false, highest: 120, datagrams: 112, bytes: 158_720, clock: 0x1234_5678, age: 350, lost: 9, runs: 3,
            rebuilt: 1, missing: missing)
        var gone = GoneRecord(isAES: false, below: 113)
        _ = gone.gone.append(110..<113)
        expect("RECEIPT, payload", written { receipt.write(to: &$0) })
        expect("GONE, payload", written { gone.write(to: &$0) })
    }

    @Test("the rows of parity are those that the page quotes, over the datagrams that it quotes")
    func parity() throws {
        let names = ["bundle, datagram", "first fragment, datagram", "second fragment, datagram"]
        let lane = ReceiverIndex(rawValue: 0x8626_6bf0)
        let peer = PeerSlot(0)
        var blocks = ParityBlocks()
        blocks.begin(lane, of: peer)
        for name in names {
            let datagram = bytes(page[name] ?? "")
            unsafe blocks.add(datagram.span.bytes, to: peer, ParityBlocks.Plan(rows: 2, size: 40, most: 1000))
        }
        blocks.close(peer)
        let closed = blocks.firstClosed(of: peer)
        let block = try #require(closed)
        #expect(block.start == 4 && block.mask == 7)
        for number in 0..<2 {
            guard let row = unsafe blocks.row(number, of: peer) else { return }
            let record = ParityRecord(isAES: false, start: block.start, mask: block.mask, row: number, rows: 2)
            let content = unsafe UnsafeRawBufferPointer(start: row, count: block.longest)
            let payload = written { payload in
                unsafe payload.copy(content.baseAddress ?? row, count: content.count, to: ParityRecord.headerSize)
                return record.writeHeader(length: content.count, to: &payload)
            }
            expect(number == 0 ? "row 0, payload" : "row 1, payload", payload)
        }
    }

    @Test("two packets that have no room in a datagram are the pieces of the pack that the page quotes")
    func pack() throws {
        let packets = ["first of two packets", "second of two packets"].map { bytes(page[$0] ?? "") }
        var options = Pair.Options(compression: CompressionPolicy(.receive))
        options.packs = true
        let pair = Pair(both: options)
        pair.connect()
        guard let slot = pair.alice.tunnel.peers.slot(of: pair.bob.publicKey) else { return }
        pair.alice.tunnel.peers[slot].pathMTU.limit.payload = 128
        pair.link.send(together: packets, from: pair.alice)
        let pieces = pair.link.sightings.filter(\.isFragment).compactMap(\.payload)
        #expect(pieces.count == 3)
        for (name, piece) in zip(["first", "second", "third"], pieces) {
            expect("\(name) piece of the pack, payload", piece)
        }
        let members = writeMembers(packets.map { Member(packet: $0) })
        expect("pack", record(0x1b, 0, members))
        pair.link.drain()
        #expect(pair.bob.received == packets)
    }

    // MARK: Helpers

    /// `GATEWAY_PRINT_VECTORS=1` prints what the code makes.
    private func expect(_ name: String, _ payload: [UInt8]) {
        if unsafe getenv("GATEWAY_PRINT_VECTORS") != nil { print("VECTOR \(name) = \(hex(payload))") }
        #expect(page[name] == hex(payload), "\(name)")
    }

    /// A record with its padding.
    private func written(_ write: (inout MutableRawSpan) -> Int) -> [UInt8] {
        var payload = [UInt8](repeating: 0, count: 2048)
        var span = payload.mutableSpan
        var bytes = unsafe span.mutableBytes
        let size = write(&bytes)
        return Array(payload.prefix((size + 15) / 16 * 16))
    }
}
