import Keys
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct SessionTableTests {
    @Test("the index table answers as a dictionary does, through thousands of insertions and removals")
    func indices() {
        var randomness = Randomness(seed: 3)
        var noise = Noise(seed: 3)
        var table = IndexTable()
        var model: [ReceiverIndex: IndexTable.Target] = [:]
        var known: [ReceiverIndex] = []
        for round in 0..<50_000 {
            // It grows, shrinks, and grows again.
            let isGrowing = round / 10_000 % 2 == 0
            if known.isEmpty || noise.next() % 10 < (isGrowing ? 6 : 4) {
                let target: IndexTable.Target =
                    switch noise.next() % 3 {
                    case 0: .lane(lane(round))
                    case 1: .handshake(PeerSlot(round))
                    default: .reserved
                    }
                let index = table.insert(target, &randomness)
                #expect(index != 0 && model[index] == nil)
                model[index] = target
                known.append(index)
            } else {
                let place = Int(noise.next() % UInt64(known.count))
                let index = known[place]
                known.swapAt(place, known.count - 1)
                known.removeLast()
                table.remove(index)
                model[index] = nil
                #expect(table[index] == nil)
            }
            if let index = known.randomElement(using: &noise) {
                #expect(table[index] == model[index])
                if round % 5 == 0 {
                    table.update(index, to: .lane(lane(1)))
                    model[index] = .lane(lane(1))
                }
            }
        }
        #expect(table.count == model.count)
        for (index, target) in model { #expect(table[index] == target) }
        table.remove(0)
        #expect(table[0] == nil)
        #expect(table.count == model.count)
    }

    @Test("indices that meet in one place are all found after any of them is removed")
    func collisions() {
        // The lowest bits of a random index are its place: with 32 of 64 taken there are many neighbours.
        for seed in 0..<200 as Range<UInt64> {
            var randomness = Randomness(seed: seed)
            var table = IndexTable()
            var indices = (0..<31).map { table.insert(.lane(lane($0)), &randomness) }
            for number in stride(from: 30, through: 0, by: -3) {
                table.remove(indices[number])
                indices[number] = 0
                for (place, index) in indices.enumerated() where index != 0 {
                    #expect(table[index] == .lane(lane(place)))
                }
            }
        }
    }

    @Test("sessions stay what they are while others come and go, and leave nothing behind")
    func slab() {
        var noise = Noise(seed: 5)
        var slab = SessionSlab()
        var model: [SessionSlot: ReceiverIndex] = [:]
        for number in 1..<5000 as Range<UInt32> {
            let round = ReceiverIndex(rawValue: number)
            if model.isEmpty || noise.next() % 100 < 52 {
                let slot = insert(round, into: &slab)
                #expect(model[slot] == nil)
                model[slot] = round
            } else if let slot = model.keys.randomElement(using: &noise) {
                slab.remove(slot)
                model[slot] = nil
                let left = (
                    slab[slot].wireGuard.localIndex, slab[slot].wireGuard.sending.bytes[0],
                    slab[slot].aes.receiving.bytes[31]
                )
                #expect(left == (0, 0, 0))
            }
            let count = slab.count
            #expect(count == model.count)
        }
        for (slot, index) in model {
            let found = (slab[slot].wireGuard.localIndex, slab[slot].wireGuard.remoteIndex)
            #expect(found == (index, ReceiverIndex(rawValue: ~index.rawValue)))
        }
    }

    private func lane(_ number: Int) -> LaneSlot {
        LaneSlot(session: SessionSlot(Int32(number)), suite: number % 2 == 0 ? .chacha20poly1305 : .aes256gcm)
    }

    private func insert(_ number: ReceiverIndex, into slab: inout SessionSlab) -> SessionSlot {
        let state = SymmetricState(hash: Bytes32(repeating: 1), chainingKey: Bytes32(repeating: 2))
        let slot = slab.insert(
            Session(
                peer: 0, local: number, remote: ReceiverIndex(rawValue: ~number.rawValue), isInitiator: true,
                at: Instant(nanoseconds: 0)))
        slab[slot].begin(SessionKeys(state, isInitiator: true), .libsodium)
        return slot
    }
}
