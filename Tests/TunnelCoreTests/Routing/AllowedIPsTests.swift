import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct AllowedIPsTests {
    @Test(
        "the trie answers as a plain list does, through thousands of insertions, moves and removals", arguments: 1...3)
    func model(seed: UInt64) {
        var noise = Noise(seed: seed)
        var trie = Slots()
        var list = PlainList()
        for round in 0..<6000 {
            let prefix = randomPrefix(&noise)
            let slot = Int32(noise.next() % 20)
            switch noise.next() % 8 {
            case 0, 1:
                trie.remove(prefix, slot)
                list.remove(prefix, slot)
            case 2 where !list.entries.isEmpty:
                let entry = list.entries[Int(noise.next() % UInt64(list.entries.count))]
                trie.remove(entry.prefix, entry.slot)
                list.remove(entry.prefix, entry.slot)
            case 3 where round % 37 == 0:
                trie.removeAll(slot)
                list.entries.removeAll { $0.slot == slot }
            default:
                trie.insert(prefix, slot)
                list.insert(prefix, slot)
            }
            for _ in 0..<2 {
                let address = randomAddress(&noise)
                #expect(trie.lookup(address) == list.lookup(address))
            }
            if round % 500 == 0 { expectSame(trie, list) }
        }
        expectSame(trie, list)
        for entry in list.entries { trie.remove(entry.prefix, entry.slot) }
        #expect((0..<20).allSatisfy { trie.prefixes(of: $0).isEmpty })
        #expect(trie.lookup(.v4(0)) == -1 && trie.lookup(.v6(0)) == -1)
    }

    @Test("the longest prefix decides, whatever the order in which they came")
    func longest() throws {
        let texts = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "128.0.0.0/1"]
        let prefixes = try texts.map { try #require(Prefix($0)) }
        for order in [prefixes, prefixes.reversed()] {
            var trie = Slots()
            for prefix in order { trie.insert(prefix, Int32(prefix.length)) }
            for (text, expected) in [
                ("10.1.2.3", 32), ("10.1.2.4", 24), ("10.1.3.1", 16), ("10.2.0.0", 8), ("9.0.0.0", 0), ("200.0.0.1", 1),
            ] {
                let address = try #require(IPAddress(text))
                #expect(trie.lookup(address) == Int32(expected))
            }
            #expect(trie.lookup(.v6(1)) == -1)
        }
    }

    @Test("a prefix belongs to one peer: giving it to another takes it away, and only its owner can be deprived of it")
    func moves() throws {
        let prefix = try #require(Prefix("10.0.0.0/24"))
        var trie = Slots()
        trie.insert(prefix, 1)
        trie.insert(prefix, 2)
        #expect(trie.prefixes(of: 1).isEmpty && trie.prefixes(of: 2) == [prefix])
        trie.remove(prefix, 1)
        #expect(trie.lookup(.v4(0x0a00_0001)) == 2)
        trie.remove(prefix, 2)
        #expect(trie.lookup(.v4(0x0a00_0001)) == -1)
    }

    @Test("everything behind 0 and ::, and everything ahead of it, is found")
    func edges() throws {
        var trie = Slots()
        for (number, text) in ["0.0.0.0/0", "255.255.255.255/32", "::/0", "ffff::/128", "::/128"].enumerated() {
            trie.insert(try #require(Prefix(text)), Int32(number))
        }
        #expect(trie.lookup(.v4(0)) == 0 && trie.lookup(.v4(.max)) == 1 && trie.lookup(.v4(.max - 1)) == 0)
        #expect(trie.lookup(.v6(0)) == 4 && trie.lookup(.v6(1)) == 2 && trie.lookup(.v6(.max)) == 2)
        #expect(trie.lookup(.v6(0xffff << 112)) == 3)
    }

    @Test("a peer's list keeps the order in which it was given")
    func order() throws {
        let texts = ["10.9.0.0/16", "10.1.0.0/16", "10.5.0.0/16", "10.0.0.0/8", "fd00::/8", "10.9.1.0/24", "::/0"]
        let prefixes = try texts.map { try #require(Prefix($0)) }
        let pair = Pair()
        pair.link.change(pair.alice) { tunnel, _ in tunnel.setAllowedIPs(prefixes, of: pair.bob.publicKey) }
        let listed = pair.alice.statistics(of: pair.bob)?.allowedIPs
        #expect(listed == prefixes)
    }

    @Test("taking a peer's prefixes in portions takes all of them and nobody else's")
    func portions() throws {
        var trie = Slots()
        for number in UInt32(0)..<1000 {
            trie.insert(try #require(Prefix(.v4(number << 8), length: 24)), Int32(number % 2))
            trie.insert(try #require(Prefix(.v6(UInt128(number) << 64), length: 64)), Int32(number % 2))
        }
        var portions = 0
        while trie.removeSome(1, atMost: 300) > 0 { portions += 1 }
        #expect(portions == 4)
        #expect(trie.prefixes(of: 1).isEmpty && trie.prefixes(of: 0).count == 1000)
    }

    private func expectSame(_ trie: Slots, _ list: PlainList) {
        for slot in Int32(0)..<20 {
            #expect(trie.prefixes(of: slot) == list.entries.filter { $0.slot == slot }.map(\.prefix))
        }
    }

    /// Few bits vary, so that prefixes meet.
    private func randomAddress(_ noise: inout Noise) -> IPAddress {
        let bits = noise.next()
        if bits % 2 == 0 {
            return .v4(UInt32(truncatingIfNeeded: bits >> 8) & 0xc030_0c03 | 0x0a00_0000)
        }
        let high = UInt128(bits >> 8 & 0xf0) << 112 | UInt128(bits >> 16 & 0x3) << 64
        return .v6(high | UInt128(bits >> 24 & 0x7))
    }

    private func randomPrefix(_ noise: inout Noise) -> Prefix {
        let address = randomAddress(&noise)
        let length = Int(noise.next() % UInt64(address.width + 1))
        guard let prefix = Prefix(address, length: length) else { preconditionFailure("the length fits") }
        return prefix
    }
}

/// Cryptokey routing without any cleverness.
private struct PlainList {
    var entries: [(prefix: Prefix, slot: Int32)] = []

    mutating func insert(_ prefix: Prefix, _ slot: Int32) {
        if let place = entries.firstIndex(where: { $0.prefix == prefix }) {
            entries.remove(at: place)
        }
        entries.append((prefix, slot))
    }

    mutating func remove(_ prefix: Prefix, _ slot: Int32) {
        entries.removeAll { $0.prefix == prefix && $0.slot == slot }
    }

    func lookup(_ address: IPAddress) -> Int32 {
        entries.filter { $0.prefix.contains(address) }.max { $0.prefix.length < $1.prefix.length }?.slot ?? -1
    }
}

/// AllowedIPs with numbers in the place of slots; -1 is nobody.
private struct Slots {
    private var table = AllowedIPs()

    mutating func insert(_ prefix: Prefix, _ slot: Int32) { table.insert(prefix, PeerSlot(slot)) }
    mutating func remove(_ prefix: Prefix, _ slot: Int32) { table.remove(prefix, PeerSlot(slot)) }
    mutating func removeAll(_ slot: Int32) { table.removeAll(PeerSlot(slot)) }
    mutating func removeSome(_ slot: Int32, atMost count: Int) -> Int {
        table.removeSome(PeerSlot(slot), atMost: count)
    }
    func lookup(_ address: IPAddress) -> Int32 { table.lookup(address)?.number ?? -1 }
    func prefixes(of slot: Int32) -> [Prefix] { table.prefixes(of: PeerSlot(slot)) }
}
