extension Cargo {
    /// Writes what is in a batch one behind the other, as a record has it, to `members` from `start` on, which has room for a unit;
    /// how many bytes that took. `scratch` has `PacketLayout.longestHeader` bytes.
    func write(
        batch index: Int, of gathering: borrowing Gathering, to members: inout Arena, at start: Int = 0,
        _ scratch: inout Arena
    ) -> Int {
        guard let batch = gathering[index] else { return 0 }
        var end = start
        for number in 0..<batch.count {
            var out = members[0..<members.capacity]
            switch self {
            case .packets:
                let packet = Members.Packet(gathering.bytes(number, of: index), gathering.shape(number, of: index))
                var header = scratch[0..<scratch.capacity]
                guard number > 0 else {
                    end += Members.write(packet, after: nil, to: &out, at: end, &header)
                    continue
                }
                let previous = Members.Packet(
                    gathering.bytes(number - 1, of: index), gathering.shape(number - 1, of: index))
                end += Members.write(packet, after: previous, to: &out, at: end, &header)
            case .frames:
                let shape = gathering.shape(number, of: index)
                end += Frames.write(gathering.bytes(number, of: index), shape, to: &out, at: end)
            }
        }
        return end - start
    }
}
