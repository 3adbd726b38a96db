public import Addresses
import BasicContainers

// Refusals: the senders of packets that go nowhere are told so by ICMP.

/// A packet that went nowhere, and whose sender is to be told.
public struct Refusal: Sendable {
    /// The addresses that it came from and was to go to.
    public let sender: IPAddress
    public let destination: IPAddress
    /// The part of the packet that is quoted, and its header.
    let packet: [UInt8]
    let header: InternetPacket
    /// The largest packet that would have got there; `nil`: none would.
    let fitting: Int?

    fileprivate init(_ packet: RawSpan, _ header: InternetPacket, fitting: Int?) {
        self.fitting = fitting
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
            size = unsafe Unreachable.write(
                answering: packet.span.bytes, header, from: nil, fitting: fitting, to: &bytes)
        }
        return header.isV4 ? Array(answer[IPv4Header.size..<size]) : []
    }
}

/// Packets that went nowhere and whose senders are still to be told, not more often than it can matter.
struct Refusals {
    private var waiting: [Refusal] = []
    private var rate = TokenBucket(every: .milliseconds(10), atOnce: 50)

    mutating func append(_ packet: RawSpan, _ header: InternetPacket, at now: Instant, fitting: Int? = nil) {
        guard Unreachable.mayAnswer(packet, header), rate.admit(at: now), waiting.count < Limits.refusals else {
            return
        }
        waiting.append(Refusal(packet, header, fitting: fitting))
    }

    mutating func poll() -> Refusal? { waiting.isEmpty ? nil : waiting.removeFirst() }
}
