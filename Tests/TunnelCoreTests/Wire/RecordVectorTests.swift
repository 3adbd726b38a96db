import Glibc
import Testing

@testable import TestKit
@testable import TunnelCore

/// The vectors of repair, parity, packs and units that refer to others, of docs/protocol.md §6, which are read from there.
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

    @Test("streams are decoded as the page quotes them, and the answer to the question is written so")
    func streams() throws {
        var inbound = InboundStreams()
        let question = try #require(read("open") { HistoryRecord(parameter: $0.parameter, body: $1) })
        let isOpen = inbound.open(question, of: 0, at: now)
        #expect(isOpen)
        expect("open, payload", written { question.write(to: &$0) })
        var answer = question
        answer.word = .opened
        expect("opened, payload", written { answer.write(to: &$0) })
        for (name, packet) in [("first", plain("first")), ("second", plain("second"))] {
            let unit = try #require(read("\(name) STREAM") { StreamRecord(parameter: $0.parameter, body: $1) })
            let found = inbound.find(unit.stream, of: 0)
            let place = try #require(found)
            var arena = Arena(capacity: 4096)
            var space = arena[0..<unit.decoded + 1]
            let payload = bytes(page["\(name) STREAM, payload"] ?? "")
            let whole = unsafe payload.span.bytes
            guard let record = Record(whole) else { return }
            let coded = whole.extracting(record.body).extracting(StreamRecord.fieldsSize...)
            let isDecoded = inbound.decode(unit, coded, in: place, into: &space, at: now)
            #expect(isDecoded && copy(arena, unit.decoded) == packet)
        }
    }

    @Test("units with a dictionary are decoded and written as the page quotes them, and what is learned is said so")
    func dictionaries() throws {
        var inbound = InboundDictionaries()
        for name in ["first", "second"] {
            let (unit, members) = try recall("\(name) RECALL", with: &inbound)
            #expect(members == plain(name) && !unit.isDeflated && unit.refers == (name == "second") && unit.word == nil)
            let word = inbound.poll(of: 0, at: now + .milliseconds(10))
            #expect((word != nil) == (name == "first"))
            if let word { expect("LEARNED, payload", written { word.write(to: &$0) }) }
        }
    }

    @Test("units in their short form are decoded and written as the page quotes them, with what the second one tells")
    func shortForm() throws {
        var inbound = InboundDictionaries()
        var told = LearnedRecord(.entries, of: 9, epoch: 1, count: 2)
        for number in [4, 5] as [UInt8] { told.append(number) }
        for name in ["first", "second"] {
            let (unit, members) = try recall("\(name) short RECALL", with: &inbound)
            #expect(members == plain(name) && unit.isDeflated && unit.refers == (name == "second"))
            #expect(unit.word == (name == "second" ? told : nil))
        }
    }

    // MARK: Helpers

    private let now = Instant(nanoseconds: 1_000_000_000)

    /// A RECALL of the page and the members that it is decoded to; it is learned, and is what is written with its fields.
    private func recall(
        _ name: String, with inbound: inout InboundDictionaries
    ) throws -> (unit: RecallRecord, members: [UInt8]) {
        let unit = try #require(read(name) { RecallRecord(parameter: $0.parameter, body: $1) })
        let payload = bytes(page["\(name), payload"] ?? "")
        let whole = unsafe payload.span.bytes
        let body = try #require(read(name) { record, _ in record.body })
        let place: Int? =
            switch inbound.place(of: unit, of: 0, at: now) {
            case .at(let found): found
            default: nil
            }
        let found = try #require(place)
        let range = unit.coded(of: body.count)
        let coded = whole.extracting(body).extracting(range)
        var arena = Arena(capacity: 8192)
        var space = arena[0..<unit.decoded + 1]
        let decoded = inbound.decode(unit, coded, in: found, into: &space, at: now)
        let length = try #require(decoded)
        inbound.learn(unit, arena.bytes(0..<length), in: found, at: now)
        if unit.isDeflated {
            var members = arena[0..<length]
            Members.completeFirst(&members)
        }
        expect(
            "\(name), payload",
            written { payload in
                for (index, place) in range.enumerated() {
                    payload.store(coded.byte(at: index), at: Record.headerSize + place)
                }
                let size = unit.writeHeader(coded: coded.byteCount, to: &payload)
                return unit.word.map { RecallRecord.append($0, to: &payload, at: size) } ?? size
            })
        return (unit, copy(arena, length))
    }

    /// The members that a packet of the page is.
    private func plain(_ name: String) -> [UInt8] {
        writeMembers([Member(packet: bytes(page["\(name) of two packets"] ?? ""))])
    }

    private func copy(_ arena: borrowing Arena, _ count: Int) -> [UInt8] {
        let content = arena.bytes(0..<count)
        return (0..<count).map { content.byte(at: $0) }
    }

    /// What a record of the page is read as.
    private func read<Read>(_ name: String, _ body: (Record, RawSpan) -> Read?) -> Read? {
        let payload = bytes(page["\(name), payload"] ?? "")
        let whole = unsafe payload.span.bytes
        guard let record = Record(whole) else { return nil }
        return body(record, whole.extracting(record.body))
    }

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
