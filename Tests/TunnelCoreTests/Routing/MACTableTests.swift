import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

/// What docs/layer2.md says of learning, under "What goes where".
@Suite struct MACTableTests {
    @Test("an address is where it was seen, and nowhere before")
    func learning() {
        let table = Table()
        #expect(table.place(of: 1) == nil)
        #expect(table.see(1, at: 3) && table.see(2, at: 4))
        #expect(table.place(of: 1) == 3 && table.place(of: 2) == 4 && table.place(of: 3) == nil)
        #expect(table.addresses(of: 3) == [1] && table.addresses(of: 4) == [2] && table.addresses(of: 5) == [])
    }

    @Test("an address is remembered for 300 s after it was seen last", arguments: [0, 200, 299])
    func age(seenAgainAfter pause: Int64) {
        let table = Table()
        table.see(1, at: 3)
        for _ in 0..<3 {
            table.pass(.seconds(pause))
            #expect(table.see(1, at: 3))
        }
        table.pass(.seconds(299))
        #expect(table.place(of: 1) == 3)
        table.pass(.seconds(2))
        #expect(table.place(of: 1) == nil && table.addresses(of: 3) == [])
    }

    @Test("to be asked for does not make an address younger")
    func asking() {
        let table = Table()
        table.see(1, at: 3)
        for _ in 0..<10 {
            table.pass(.seconds(29))
            #expect(table.place(of: 1) == 3)
        }
        table.pass(.seconds(11))
        #expect(table.place(of: 1) == nil)
    }

    @Test("an address that was forgotten may appear anywhere at once")
    func elsewhereAfterAge() {
        let table = Table()
        table.see(1, at: 3)
        table.pass(.seconds(301))
        #expect(table.see(1, at: 4))
        #expect(table.place(of: 1) == 4)
    }

    @Test(
        "a peer has 1024 addresses: further ones are refused, those that it has are not, and nobody else is concerned")
    func limitOfPeer() {
        let table = Table()
        let accepted = (0..<5000).filter { table.see($0, at: 3) }
        #expect(accepted.count >= 1024 && accepted.count < 1100)
        let known = (0..<5000).filter { table.place(of: $0) == 3 }
        #expect(known.count == 1024)
        #expect(table.addresses(of: 3) == known)
        #expect(!table.see(6000, at: 3))
        #expect(table.place(of: 6000) == nil)
        #expect(known.allSatisfy { table.see($0, at: 3) })
        #expect(table.see(6000, at: 4))
    }

    @Test("a peer at its limit may have others as soon as the old ones were forgotten, and not before")
    func limitAndAge() {
        let table = Table()
        for number in 0..<5000 { table.see(number, at: 3) }
        for _ in 0..<299 {
            table.pass(.seconds(1))
            #expect(!table.see(7000, at: 3))
        }
        table.pass(.seconds(2))
        let accepted = (10_000..<15_000).filter { table.see($0, at: 3) }
        #expect(accepted.count >= 1024)
        #expect(accepted.filter { table.place(of: $0) == 3 }.count == 1024)
    }

    @Test("however many peers have however many addresses, the table does not grow, and knows those it saw last")
    func bound() {
        let table = Table()
        for peer in 0..<40 as Range<Int32> {
            for number in 0..<1000 {
                #expect(table.see(Int(peer) * 1000 + number, at: peer))
                table.pass(.milliseconds(1))
                #expect(table.place(of: Int(peer) * 1000 + number) == peer)
            }
        }
        #expect((0..<40).map { table.addresses(of: $0).count }.reduce(0, +) <= 16_384)
    }

    @Test(
        "an address moves to another peer a second after it came, at the soonest",
        arguments: [(0, false), (500, false), (999, false), (1000, true), (60_000, true)] as [(Int64, Bool)])
    func move(after pause: Int64, isAllowed: Bool) {
        let table = Table()
        table.see(1, at: 3)
        table.pass(.milliseconds(pause))
        #expect(table.see(1, at: 4) == isAllowed)
        #expect(table.place(of: 1) == (isAllowed ? 4 : 3))
        #expect(table.addresses(of: 3) == (isAllowed ? [] : [1]) && table.addresses(of: 4) == (isAllowed ? [1] : []))
        // And so back.
        #expect(table.see(1, at: 3) == !isAllowed)
    }

    @Test("an address that two peers claim all the time moves once a second")
    func flapping() {
        let table = Table()
        var (moves, refused) = (0, 0)
        table.see(1, at: 3)
        for _ in 0..<1000 {
            for peer in [3, 4] as [Int32] {
                let before = table.place(of: 1)
                if !table.see(1, at: peer) { refused += 1 }
                if table.place(of: 1) != before { moves += 1 }
            }
            table.pass(.milliseconds(10))
        }
        #expect((9...10).contains(moves))
        #expect((1000 - moves...1000).contains(refused))
    }

    @Test("an address does not move to a peer that has as many as it may")
    func moveToFull() {
        let table = Table()
        for number in 0..<5000 { table.see(number, at: 3) }
        table.see(9000, at: 4)
        table.pass(.seconds(10))
        #expect(!table.see(9000, at: 3))
        #expect(table.place(of: 9000) == 4)
    }

    @Test("an address that moves away makes room for another")
    func moveFromFull() {
        let table = Table()
        for number in 0..<5000 { table.see(number, at: 3) }
        table.pass(.seconds(10))
        #expect(!table.see(9000, at: 3))
        #expect(table.see(table.addresses(of: 3)[0], at: 4))
        #expect(table.see(9000, at: 3))
        #expect(!table.see(9001, at: 3))
    }

    @Test("a peer that goes takes its addresses along, and its place may have 1024 again at once")
    func forgetting() {
        let table = Table()
        for number in 0..<5000 { table.see(number, at: 3) }
        table.see(9000, at: 4)
        table.forget(3)
        #expect((0..<5000).allSatisfy { table.place(of: $0) == nil } && table.addresses(of: 3) == [])
        #expect(table.place(of: 9000) == 4)
        // Where nobody is, nobody must be waited for.
        let seen = (20_000..<25_000).filter { table.see($0, at: 3) }
        #expect(seen.count >= 1024 && table.addresses(of: 3).count == 1024)
    }

    @Test("the 1024 addresses of a peer are all remembered, and so are those of a second", arguments: 1...10)
    func allRemembered(seed: UInt64) {
        let table = Table(seed: seed)
        for (peer, first) in [(3, 0), (4, 2000)] as [(Int32, Int)] {
            for number in first..<first + 1024 { #expect(table.see(number, at: peer)) }
            #expect((first..<first + 1024).filter { table.place(of: $0) != peer } == [])
        }
        #expect((0..<1024).filter { table.place(of: $0) != 3 } == [])
    }

    @Test(
        "addresses that differ in their first bits alone displace each other no more than others do", arguments: 1...10)
    func displaced(seed: UInt64) throws {
        var table = MACTable(seed: seed, isUsed: true)
        let now = Instant(nanoseconds: 1_000_000_000_000)
        let victim = MACAddress(0x0200_5e10_2030)
        for bits in 0...8 as ClosedRange<UInt64> {
            let bytes = ethernet(MACAddress(victim.bits ^ bits << 43), .everybody, [])
            let frame = try #require(EthernetFrame(unsafe bytes.span.bytes))
            let isLearned = table.learn(frame, at: .peer(bits == 0 ? 3 : 4), now: now + .seconds(Int64(bits)))
            #expect(isLearned)
        }
        let bytes = ethernet(host(1), victim, [])
        let place = table.place(for: try #require(EthernetFrame(unsafe bytes.span.bytes)), at: now + .seconds(9))
        #expect(place == .peer(3))
    }

    @Test("an address is somewhere in each VLAN by itself, whatever the priority in the tag says")
    func vlans() {
        let table = Table()
        #expect(table.see(1, at: 3, vlan: 7) && table.see(1, at: 4, vlan: 8) && table.see(1, at: 5))
        for (vlan, place) in [(7, 3), (0xf007, 3), (8, 4), (9, nil)] as [(UInt16, Int32?)] {
            #expect(table.place(of: 1, vlan: vlan) == place)
        }
        #expect(table.place(of: 1) == 5)
        #expect(!table.see(1, at: 4, vlan: 0x2007))
        #expect(table.see(1, at: 3, vlan: 9))
        #expect(table.addresses(of: 3) == [1])
    }

    @Test("4096 addresses are remembered of a hub's own site, and peers have theirs beside them")
    func ownSite() {
        let table = Table()
        for number in 0..<8000 { table.see(number, at: Table.here) }
        #expect((0..<8000).filter { table.place(of: $0) == Table.here }.count == 4096)
        #expect(table.see(9000, at: 3))
        #expect(table.place(of: 9000) == 3)
    }

    @Test("an address stands in the list of one peer, and once")
    func once() {
        let table = Table()
        for number in 0..<900 { table.see(number, at: 3) }
        for peer in [4, 4, 3] as [Int32] {
            table.pass(.seconds(301))
            for number in (0..<900).reversed() where number % 2 == 0 { table.see(number, at: peer) }
            let listed = table.addresses(of: 3) + table.addresses(of: 4)
            #expect(listed.count == Set(listed).count)
        }
    }
}

/// The table and its clock. Addresses have numbers, and are like those of network cards of many makers.
private final class Table {
    private var table: MACTable
    private var now = Instant(nanoseconds: 1_000_000_000_000)
    private var numbers: [MACAddress: Int] = [:]

    /// The number of our own device among those of peers.
    static let here: Int32 = -1

    init(seed: UInt64 = 1) { table = MACTable(seed: seed, isUsed: true) }

    func pass(_ interval: Interval) { now = now + interval }
    @discardableResult
    func see(_ number: Int, at peer: Int32, vlan: UInt16? = nil) -> Bool {
        guard let frame = frame(from: address(number), to: .everybody, vlan) else { return false }
        return table.learn(frame, at: peer == Self.here ? .here : .peer(PeerSlot(peer)), now: now)
    }
    func place(of number: Int, vlan: UInt16? = nil) -> Int32? {
        frame(from: host(1), to: address(number), vlan).flatMap { table.place(for: $0, at: now) }?.number
    }
    func addresses(of peer: Int32) -> [Int] {
        table.addresses(of: PeerSlot(peer), at: now).map { numbers[$0] ?? -1 }.sorted()
    }
    func forget(_ peer: Int32) { table.forget(PeerSlot(peer)) }

    private func frame(from source: MACAddress, to destination: MACAddress, _ tag: UInt16?) -> EthernetFrame? {
        var bytes = ethernet(source, destination, [], tags: tag == nil ? [] : [0x8100])
        if let tag { put(tag, into: &bytes, at: 14) }
        return EthernetFrame(unsafe bytes.span.bytes)
    }

    private func address(_ number: Int) -> MACAddress {
        var noise = Noise(seed: UInt64(number))
        let address = MACAddress(noise.next() & ~(1 << 40))
        numbers[address] = number
        return address
    }
}
