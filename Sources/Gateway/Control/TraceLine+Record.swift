import Addresses
import Control
import Keys
import TunnelCore

extension TraceLine {
    /// A record in the words of the contract. `name` finds the name of a peer.
    init(_ record: TraceRecord, _ batch: TraceBatch, name: (PublicKey) -> String?) {
        self.init(
            time: Double(record.at.seconds) + Double(record.at.nanoseconds / 1000) / 1e6,
            direction: record.direction == .out ? "out" : "in", form: "\(record.form)")
        if let key = record.peer.flatMap({ batch.peers[$0] }) {
            peer = name(key)
            publicKey = key.description
        }
        packets = Int(record.packets)
        plainBytes = Int(record.plain)
        if let source = record.flow.source, let destination = record.flow.destination {
            transport = Self.word(for: record.flow.transport)
            self.source = Self.end(source, record.flow.sourcePort)
            self.destination = Self.end(destination, record.flow.destinationPort)
        }
        codec = record.codec?.name
        if record.coded > 0 { codedBytes = Int(record.coded) }
        skipped = record.skip.map { "\($0)" }
        cipher = record.cipher?.name
        datagrams = Int(record.datagrams)
        wireBytes = Int(record.wire)
        dropped = record.drop?.name
        droppedCount = record.drop == nil ? nil : Int(record.dropped)
        if record.kind != 0 { self.record = Self.record(record.kind) }
    }

    private static func end(_ address: IPAddress, _ port: UInt16) -> String {
        guard port != 0 else { return address.description }
        return address.isV4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }

    private static func word(for transport: UInt8) -> String {
        switch transport {
        case 1, 58: "icmp"
        case 6: "tcp"
        case 17: "udp"
        default: "\(transport)"
        }
    }

    private static func record(_ kind: UInt8) -> String {
        let names = [
            "HELLO", "UNIT", "BUNDLE", "FRAGMENT", "REPORT", "PING", "ETHERNET", "CONFIRM", "RECEIPT", "GONE", "PARITY",
            "PACK", "ROTATE", "STREAM", "HISTORY", "KEYS", "RECALL", "LEARNED",
        ]
        let place = Int(kind) - 0x10
        return names.indices.contains(place) ? names[place] : "\(kind)"
    }
}

extension DropReason {
    /// The word for it in the statistics.
    var name: String {
        switch self {
        case .record, .content: "malformed"
        case .staged: "noSession"
        default: "\(self)"
        }
    }
}
