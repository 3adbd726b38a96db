public import Addresses
import BasicContainers

// What is said to the sender of a packet that goes nowhere.

/// A packet that went nowhere, and whose sender is to be told.
public struct Refusal: Sendable {
    /// Where it came from, and where it was to go.
    public let sender: IPAddress
    public let destination: IPAddress
    /// As much of it as is quoted, and its header.
    let packet: [UInt8]
    let header: InternetPacket

    fileprivate init(_ packet: RawSpan, _ header: InternetPacket) {
        sender = header.source
        destination = header.destination
        let quoted = packet.extracting(0..<min(header.length, Unreachable.maximumSize))
        self.packet = unsafe quoted.withUnsafeBytes { unsafe Array($0) }
        self.header = header
    }

    /// The ICMP message that tells it, without an IP header: of IPv4 only.
    public var message: [UInt8] {
        var answer = [UInt8](repeating: 0, count: Unreachable.maximumSize)
        let size: Int
        do {
            var span = answer.mutableSpan
            var bytes = unsafe span.mutableBytes
            size = unsafe Unreachable.write(answering: packet.span.bytes, header, from: nil, to: &bytes)
        }
        return header.isV4 ? Array(answer[20..<size]) : []
    }
}

extension Tunnel {
    /// Notes that the sender is to be told that the packet goes nowhere, but not more often than it can matter.
    mutating func noteRefused(_ packet: RawSpan, _ header: InternetPacket, at now: Now) {
        guard Unreachable.mayAnswer(packet, header), refusals.admit(at: now.instant), refused.count < Limits.refusals
        else { return }
        refused.append(Refusal(packet, header))
    }

    /// The next packet whose sender is to be told; by `answer`, or by the owner itself.
    public mutating func pollRefusal() -> Refusal? { refused.isEmpty ? nil : refused.removeFirst() }

    /// Tells a sender through the device that its packet goes nowhere, with room in the inbox. `source` is who says so; if it
    /// is `nil`, the address that the packet was for.
    public mutating func answer(_ refusal: Refusal, from source: IPAddress?) {
        let place = inbox.decode(Unreachable.maximumSize) { space in
            unsafe Unreachable.write(answering: refusal.packet.span.bytes, refusal.header, from: source, to: &space)
        }
        guard let place, let found = Members.Found(place, of: inbox),
            let answer = InternetPacket(inbox.bytes(decoded: place))
        else { return }
        _ = inbox.append(decoded: found.place, answer, found.shape)
    }
}
