import Testing

@testable import TestKit
@testable import TunnelCore

/// Which flow has which place in a peer's table, and that its packets stay in order.
@Suite struct FlowQueuesTests {
    @Test("eight flows that fall into one place have one each, and a ninth shares the one that it fell into")
    func ways() {
        let names = alike(10)
        let queues = Waiting()
        let places = names.prefix(8).map { queues.append($0) }
        #expect(Set(places).count == 8)
        #expect(queues.append(names[8]) == places[0])
        // What was there keeps its place.
        #expect(names.prefix(8).map { queues.append($0) } == places)
        // Packets of the ninth may be where it shares, so it goes nowhere else while something is there.
        queues.empty(places[3])
        #expect(queues.append(names[8]) == places[0])
        queues.empty(places[0])
        let next = queues.append(names[8])
        #expect(next == places[3] || next == places[0])
        #expect(queues.append(names[1]) == places[1])
    }

    @Test("ten flows never share a place")
    func ten() {
        var noise = Noise(seed: 7)
        for _ in 0..<2000 {
            let queues = Waiting()
            let places = (0..<10).map { _ in queues.append(noise.next()) }
            #expect(Set(places).count == 10)
        }
    }

    @Test("a flow that is back has the place that it had, unless another one has it")
    func again() {
        let names = alike(2)
        let queues = Waiting()
        let first = queues.append(names[0])
        queues.empty(first)
        #expect(queues.append(names[0]) == first)
        queues.empty(first)
        #expect(queues.append(names[1]) == first)
        #expect(queues.append(names[0]) != first)
    }

    @Test("the place of a flow of which a unit waits is given to no other")
    func kept() {
        let names = alike(2)
        let queues = Waiting()
        let first = queues.append(names[0])
        queues.empty(first)
        #expect(queues.append(names[1], keeping: first) != first)
        #expect(queues.append(names[0], keeping: first) == first)
    }

    @Test("however many flows there are, no packet overtakes another one of its flow", arguments: 1...4)
    func order(seed: UInt64) {
        var noise = Noise(seed: seed << 32)
        let queues = Waiting()
        let names = alike(12) + (0..<40).map { _ in noise.next() }
        var number: Int32 = 0
        var last: [UInt64: Int32] = [:]
        for _ in 0..<20_000 {
            if noise.next() % 5 < 3, queues.count < 300 {
                number += 1
                queues.append(names[Int(noise.next() % UInt64(names.count))], number)
            } else if let (name, taken) = queues.takeNext() {
                #expect(taken > last[name] ?? 0)
                last[name] = taken
            }
        }
        #expect(last.count == names.count)
    }

    /// Names that fall into one place of an empty table.
    private func alike(_ count: Int) -> [UInt64] {
        var noise = Noise(seed: 3)
        var names: [UInt64] = []
        while names.count < count {
            let name = noise.next()
            if Waiting().append(name) == 77 { names.append(name) }
        }
        return names
    }
}

/// A table, and packets with a number that stands for what they hold.
private final class Waiting {
    private var queues = FlowQueues()
    private var memory = PacketMemory()
    private let table: Int32
    private var turns = FlowQueues.Turns()
    private var names: [Int32: UInt64] = [:]
    private(set) var count = 0

    init() {
        table = queues.openTable()
    }

    @discardableResult
    func append(_ name: UInt64, _ number: Int32 = 0, keeping kept: Int32 = -1) -> Int32 {
        if memory.size == 0 { memory.grow(to: 100) }
        let flow = queues.find(name, in: table, keeping: kept)
        names[number] = name
        let bytes = [UInt8](repeating: 0, count: 100)
        guard let place = unsafe memory.take(bytes.span.bytes, from: number, at: .distantPast) else { return -1 }
        queues.append(place, to: flow, in: &memory)
        queues.schedule(flow, isNew: true, &turns)
        count += 1
        return flow
    }

    /// The flow and the number of the packet whose turn it is.
    func takeNext() -> (UInt64, Int32)? {
        guard let flow = queues.next(&turns)?.flow, let place = queues.takeFirst(of: flow, in: memory) else {
            return nil
        }
        let number = memory[place].origin
        memory.release(place)
        queues.charge(100, to: flow)
        count -= 1
        return names.removeValue(forKey: number).map { ($0, number) }
    }

    /// Takes all out of a place, and its turn with it.
    func empty(_ flow: Int32) {
        while let place = queues.takeFirst(of: flow, in: memory) {
            memory.release(place)
            count -= 1
        }
        // A flow that has nothing loses its turn when it comes.
        for _ in 0..<1000 {
            guard let next = queues.next(&turns)?.flow else { return }
            queues.charge(1500, to: next)
        }
    }
}
