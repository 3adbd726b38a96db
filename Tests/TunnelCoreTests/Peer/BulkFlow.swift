import Addresses

@testable import TestKit
@testable import TunnelCore

/// A TCP flow from alice's first host to bob's, of words that come again; in frames between their stations, or as packets.
struct BulkFlow {
    let port: UInt16
    var stations: (MACAddress, MACAddress)?
    /// The packets or frames.
    private(set) var sent: [[UInt8]] = []
    private var sequence: UInt32 = 1000
    private var noise: Noise

    init(port: UInt16, between stations: (MACAddress, MACAddress)? = nil) {
        self.port = port
        self.stations = stations
        noise = Noise(seed: UInt64(port))
    }

    /// So many packets at once, then two milliseconds.
    mutating func send(_ count: Int, on pair: Pair) { send(count, from: pair.alice, pair.link) }

    mutating func send(_ count: Int, from end: End, _ link: Link) {
        let packets = (0..<count).map { _ in next() }
        sent += packets
        if stations == nil {
            link.send(together: packets, from: end)
        } else {
            link.send(ethernet: packets, from: end)
        }
        link.run(for: .milliseconds(3))
    }

    private mutating func next() -> [UInt8] {
        var payload: [UInt8] = []
        while payload.count < 1200 {
            var word = Noise(seed: noise.next() % 3000)
            payload += (0..<Int(3 + word.next() % 8)).map { _ in UInt8(97 + word.next() % 26) } + [0x20]
        }
        var segment = Segment()
        segment.ports = (port, 6000)
        segment.sequence = sequence
        segment.payload = Array(payload.prefix(1200))
        sequence &+= 1200
        return stations.map { ethernet($0.0, $0.1, ip: segment.bytes) } ?? segment.bytes
    }
}
