import Addresses
import CTun
import Glibc
import LinuxIO

/// A message as a test wants to see it.
struct Letter {
    let bytes: [UInt8]
    let sender: Endpoint?
    let source: LocalSource?
    let trafficClass: UInt8
    let segment: Int
    let isTruncated: Bool

    /// The sizes of the datagrams in it.
    var sizes: [Int] {
        guard segment > 0 else { return [bytes.count] }
        return stride(from: 0, to: bytes.count, by: segment).map { min(segment, bytes.count - $0) }
    }
}

/// Takes messages from `socket` until there are `datagrams` of them, for at most a second without news.
func letters(_ datagrams: Int, from socket: inout UDPSocket, slotSize: Int = 65_536) -> [Letter] {
    var arena = [UInt8](repeating: 0, count: 16 * slotSize)
    var messages = [ctun_received](repeating: ctun_received(), count: 16)
    var letters: [Letter] = []
    var found = 0
    while found < datagrams, isReadable(socket.descriptor, milliseconds: 1000) {
        var count: Int32 = 0
        do {
            var slots = messages.mutableSpan
            var bytes = arena.mutableSpan
            var raw = unsafe bytes.mutableBytes
            count = socket.receive(into: &raw, slotSize: slotSize, messages: &slots)
        }
        guard count > 0 else { break }
        for message in messages.prefix(Int(count)) {
            let range = Int(message.offset)..<Int(message.offset + message.length)
            letters.append(
                Letter(
                    bytes: Array(arena[range]), sender: message.sender, source: message.source,
                    trafficClass: message.traffic_class, segment: Int(message.segment),
                    isTruncated: message.truncated == 1))
            found += message.datagramCount
        }
    }
    return letters
}

func isReadable(_ descriptor: Int32, milliseconds: Int32) -> Bool {
    var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&wait, 1, milliseconds) == 1
}

/// Bytes in which every position is recognisable.
func pattern(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}

extension UDPSocket {
    /// Sends `bytes` and returns what became of it.
    mutating func post(
        _ bytes: [UInt8], segment: Int = 0, to remote: Endpoint, from source: LocalSource? = nil,
        trafficClass: UInt8 = 0
    ) -> (result: ctun_sent, sourceRefused: Bool) {
        let span = bytes.span
        return send(
            unsafe span.bytes, segment: segment, to: remote, from: source, trafficClass: trafficClass)
    }
}
