/// Packets that are to come out, each as often as it went in, in whatever order.
struct Expected {
    private var packets: [[UInt8]]
    private var isTaken: [Bool]
    /// All before it are taken.
    private var first = 0

    init(_ packets: [[UInt8]]) {
        self.packets = packets
        isTaken = packets.map { _ in false }
    }

    var isEmpty: Bool { first == packets.count }

    /// Takes one away that is the same; false if there is none.
    mutating func take(_ packet: [UInt8]) -> Bool {
        guard let index = (first..<packets.count).first(where: { !isTaken[$0] && packets[$0] == packet }) else {
            return false
        }
        isTaken[index] = true
        while first < packets.count, isTaken[first] { first += 1 }
        return true
    }
}
