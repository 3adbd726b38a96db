import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct ReorderModelTests {
    @Test("whatever comes, it goes by the rules, nothing is lost, comes twice or is changed", arguments: 0..<40)
    func model(seed: UInt64) {
        for round in 0..<8 {
            var trial = Trial(seed: seed << 8 | UInt64(round))
            let mistake = trial.run()
            #expect(mistake == nil, "seed \(seed), round \(round)")
        }
    }
}

/// The rules, as plainly as can be.
private struct Model {
    struct Packet {
        let id: Int
        let sequence: UInt32
        let end: UInt32
        let counter: UInt64
        let heldAt: Instant
    }

    struct Flow {
        var next: UInt32?
        var waiting: [Packet] = []
        /// What TCP sent again meanwhile.
        var again: [Packet] = []
        var ready: [Packet] = []

        mutating func releaseAgain(below missing: UInt64 = 0) {
            while let first = again.first, waiting.isEmpty || first.counter < missing {
                ready.append(again.removeFirst())
            }
        }

        mutating func settle(_ end: UInt32) {
            var next = end
            while let first = waiting.first, Int32(bitPattern: first.sequence &- next) <= 0 {
                if Int32(bitPattern: first.end &- next) > 0 { next = first.end }
                ready.append(waiting.removeFirst())
            }
            releaseAgain()
            self.next = next
        }

        mutating func restart(_ next: UInt32?) {
            ready += waiting
            waiting = []
            releaseAgain()
            self.next = next
        }

        /// Whether it goes on at once.
        mutating func take(_ packet: Packet, missing: UInt64?) -> Bool {
            let distance = Int(Int32(bitPattern: packet.sequence &- (next ?? packet.sequence)))
            if abs(distance) >= 1 << 30 { restart(packet.sequence) }
            if distance > 0, distance < 1 << 30, let missing, missing < packet.counter {
                let index = waiting.firstIndex { Int32(bitPattern: $0.sequence &- packet.sequence) > 0 }
                waiting.insert(packet, at: index ?? waiting.count)
                return false
            }
            if distance <= 0, distance > -1 << 30, let missing, missing < packet.counter, let first = waiting.first,
                first.counter < packet.counter
            {
                again.append(packet)
                return false
            }
            if let next, distance < 0, distance > -1 << 30, Int32(bitPattern: packet.end &- next) <= 0 {
                if ready.isEmpty { return true }
                ready.append(packet)
                return false
            }
            while let first = waiting.first, Int32(bitPattern: first.sequence &- packet.sequence) <= 0 {
                ready.append(waiting.removeFirst())
            }
            let isFirst = ready.isEmpty
            if !isFirst { ready.append(packet) }
            settle(packet.end)
            return isFirst
        }

        mutating func release(through index: Int) {
            let end = waiting[index].end
            ready += waiting[...index]
            waiting.removeSubrange(...index)
            settle(end)
        }

        mutating func release(below missing: UInt64?) {
            if let last = waiting.lastIndex(where: { $0.counter < missing ?? .max }) { release(through: last) }
            releaseAgain(below: missing ?? .max)
        }
    }

    /// By port; every other one is of the other peer.
    var flows: [Flow]

    mutating func expire(at now: Instant) {
        while let oldest = flows.flatMap({ $0.waiting + $0.again }).min(by: { $0.id < $1.id }),
            oldest.heldAt + .seconds(2) <= now
        {
            for flow in flows.indices {
                if flows[flow].again.first?.id == oldest.id {
                    flows[flow].ready.append(flows[flow].again.removeFirst())
                }
                guard let index = flows[flow].waiting.firstIndex(where: { $0.id == oldest.id }) else { continue }
                flows[flow].release(through: index)
            }
        }
    }
}

/// Packets of all kinds in any order, through a buffer and through the model.
private struct Trial: ~Copyable {
    private var noise: Noise
    private var bed: ReorderBed
    private var model: Model
    private var position: [UInt32]
    private var packets: [[UInt8]] = []
    private var ports: [UInt16] = []
    private var missing: [UInt64?] = [nil, nil]
    private var counter: UInt64 = 100
    /// How much came out and was looked at.
    private var seen: Set<Int> = []

    init(seed: UInt64) {
        noise = Noise(seed: seed)
        bed = ReorderBed(isV6: noise.next() % 2 == 0, isDraining: false)
        let count = 1 + Int(noise.next() % 6)
        model = Model(flows: [Model.Flow](repeating: Model.Flow(), count: count))
        position = []
        for _ in 0..<count {
            position.append(UInt32(truncatingIfNeeded: noise.next() % 3 == 0 ? 0 &- 3000 : noise.next()))
        }
    }

    /// What went wrong.
    mutating func run() -> String? {
        for _ in 0..<150 {
            var mistake: String?
            switch noise.next() % 12 {
            case 0: changeMissing()
            case 1: mistake = drain(Int(noise.next() % 6))
            case 2: advance()
            default: mistake = send()
            }
            if let mistake { return mistake }
        }
        for peer in 0..<2 { release(peer, below: nil) }
        if let mistake = drain(.max) { return mistake }
        if seen.count != packets.count { return "\(packets.count - seen.count) are lost" }
        if bed.buffer.hasReady || bed.buffer.nextExpiry != nil { return "something is left" }
        bed.buffer.trim()
        return bed.buffer.allocated == 0 ? nil : "memory is left"
    }

    private mutating func changeMissing() {
        let peer = Int(noise.next() % 2)
        // It only grows, and stays below what has come.
        let new = noise.next() % 4 == 0 ? nil : max(missing[peer] ?? 0, counter - noise.next() % 30)
        missing[peer] = new
        release(peer, below: new)
    }

    private mutating func release(_ peer: Int, below missing: UInt64?) {
        bed.release(below: missing, of: PeerSlot(peer))
        for flow in model.flows.indices where flow % 2 == peer { model.flows[flow].release(below: missing) }
    }

    private mutating func advance() {
        bed.expire(at: bed.now + .milliseconds(Int64(noise.next() % 400)))
        model.expire(at: bed.now)
    }

    private mutating func send() -> String? {
        let flow = Int(noise.next() % UInt64(model.flows.count))
        let peer = flow % 2
        counter += noise.next() % 3
        // At times it is a datagram that was repaired.
        let counter = noise.next() % 8 == 0 ? self.counter - noise.next() % 20 : self.counter
        let count = noise.next() % 12 == 0 ? Int(noise.next() % 5000) : Int(noise.next() % 60)
        var sequence = position[flow]
        switch noise.next() % 8 {
        case 0: sequence &+= UInt32(noise.next() % 200)
        case 1: sequence &-= UInt32(noise.next() % 200)
        case 2 where noise.next() % 20 == 0: sequence &+= UInt32(truncatingIfNeeded: noise.next())
        default: break
        }
        let kinds: [UInt8] = [0x02, 0x12, 0x04, 0x14, 0x11]
        let kind = noise.next() % 15 == 0 ? kinds[Int(noise.next() % 5)] : 0x10
        let packet = Segment(
            isV6: bed.isV6, ports: (UInt16(flow), 9), sequence: sequence, flags: kind,
            payload: big(UInt64(packets.count)) + noise.bytes(count)
        ).bytes
        let id = packets.count
        packets.append(packet)
        ports.append(UInt16(flow))
        let end = sequence &+ UInt32(8 + count) &+ UInt32(kind & 1) &+ UInt32(kind >> 1 & 1)
        position[flow] = noise.next() % 20 == 0 ? end &+ UInt32(noise.next() % 500) : end
        let isExpected: Bool
        if kind & 0x04 != 0 {
            model.flows[flow].restart(nil)
            isExpected = true
        } else if kind & 0x02 != 0 {
            model.flows[flow].restart(end)
            isExpected = true
        } else {
            let plain = Model.Packet(id: id, sequence: sequence, end: end, counter: counter, heldAt: bed.now)
            isExpected = model.flows[flow].take(plain, missing: missing[peer])
        }
        let isDelivered = bed.give(
            packet, segment: 0, from: PeerSlot(peer), counter: counter, missing: missing[peer])
        if isDelivered { seen.insert(id) }
        return isDelivered == isExpected ? nil : "packet \(id) \(isDelivered ? "went on" : "waits")"
    }

    private mutating func drain(_ most: Int) -> String? {
        let first = bed.out.count
        bed.drain(most)
        for packet in bed.out[first...] {
            let flow = Int(PacketView(packet).ports.0)
            guard !model.flows[flow].ready.isEmpty else { return "a packet was not to be ready" }
            let expected = model.flows[flow].ready.removeFirst()
            if packet != packets[expected.id] { return "another packet than \(expected.id), or it was changed" }
            if !seen.insert(expected.id).inserted { return "packet \(expected.id) came twice" }
        }
        if most == .max, model.flows.contains(where: { !$0.ready.isEmpty }) {
            return "packets that are ready are missing"
        }
        return nil
    }
}
