import Control
import TunnelCore

/// What the packets of each service came to.
struct Tally {
    /// What was tried in front of a link with a rate.
    enum Link: Int, CaseIterable {
        case units, byFlow, byHosts

        /// What units may refer to; `nil`: to nothing.
        var scope: HistoryScope? {
            switch self {
            case .units: nil
            case .byFlow: .flow
            case .byHosts: .hosts
            }
        }
    }

    struct Row {
        var packets = 0
        var plain = 0
        var wireGuard = 0
        var gateway = 0
        var links = Link.allCases.map { _ in 0 }
        var sending = CPUTime()
        var receiving = CPUTime()
        var skipped = CompressionSkip.allCases.map { _ in UInt64(0) }
    }

    private(set) var rows: [String: Row] = [:]

    /// Packets of so many bytes each share `amount` by those, to the last of it.
    private static func shares(_ amount: Int, among packets: [[UInt8]]) -> [Int] {
        let bytes = packets.reduce(0) { $0 + $1.count }
        var left = amount
        var shares = packets.map { packet in
            let share = Int(Int128(amount) * Int128(packet.count) / Int128(max(bytes, 1)))
            left -= share
            return share
        }
        if !shares.isEmpty { shares[shares.count - 1] += left }
        return shares
    }

    /// What plain WireGuard made of them: what a gateway needs more is its cost.
    mutating func notePlain(_ packets: [Packet], _ passage: Passage, _ datagramSize: (Int) -> Int) {
        note(packets, passage, sign: -1)
        for packet in passage.deliveries.flatMap(\.packets) {
            update(packet) {
                $0.packets += 1
                $0.plain += packet.count
                $0.wireGuard += datagramSize(packet.count)
            }
        }
    }

    mutating func noteGateway(_ packets: [Packet], _ passage: Passage) {
        note(packets, passage, sign: 1)
        for delivery in passage.deliveries {
            for (packet, share) in zip(delivery.packets, Self.shares(delivery.wire, among: delivery.packets)) {
                update(packet) { $0.gateway += share }
            }
        }
    }

    mutating func note(_ deliveries: [ThinPair.Delivery], on link: Link) {
        for delivery in deliveries {
            for (packet, share) in zip(delivery.packets, Self.shares(delivery.wire, among: delivery.packets)) {
                update(packet) { $0.links[link.rawValue] += share }
            }
        }
    }

    private mutating func note(_ packets: [Packet], _ passage: Passage, sign: Int64) {
        let finished = Self.shares(Int(passage.finished.time.nanoseconds), among: packets.map(\.bytes))
        for (index, packet) in packets.enumerated() {
            let step = passage.sent[index]
            update(packet.bytes) { row in
                row.sending.nanoseconds += sign * (step.time.nanoseconds + Int64(finished[index]))
                for reason in row.skipped.indices { row.skipped[reason] += step.skipped[reason] }
            }
        }
        noteSkipped(passage.finished.skipped, among: packets)
        for delivery in passage.deliveries {
            let shares = Self.shares(Int(delivery.time.nanoseconds), among: delivery.packets)
            for (packet, share) in zip(delivery.packets, shares) {
                update(packet) { $0.receiving.nanoseconds += sign * Int64(share) }
            }
        }
    }

    /// What was decided when the drain was over: of which packet is not known.
    private mutating func noteSkipped(_ skipped: [UInt64], among packets: [Packet]) {
        for (reason, count) in skipped.enumerated() where count > 0 {
            for (packet, share) in zip(packets, Self.shares(Int(count), among: packets.map(\.bytes))) {
                update(packet.bytes) { $0.skipped[reason] += UInt64(share) }
            }
        }
    }

    private mutating func update(_ packet: [UInt8], _ body: (inout Row) -> Void) {
        let name = Packet(packet).map(Service.name) ?? "other ip"
        body(&rows[name, default: Row()])
    }
}
