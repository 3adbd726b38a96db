// Units of which a link needs more than a moment: sealed, they wait datagram by datagram.

extension PacketQueue {
    /// Takes what a grant has appended to an outbox since `mark` back and keeps it, to leave datagram by datagram, if the links on the way
    /// to the peer need more than a moment for it; false if it stays there.
    mutating func hold(_ outbox: inout Outbox, since mark: Outbox.Mark, of grant: Grant, cost: Int) -> Bool {
        let datagrams = Int(outbox.appended.datagrams &- mark.appended.datagrams)
        let peer = grant.peer
        let isLong = datagrams > 1 && !grant.isBesideUnit && cost > unitAtOnce(for: peer)
        guard isLong || grant.isAhead, datagrams <= memory.freeCount,
            lines[peer.offset].table >= 0, outbox.largest(since: mark) <= memory.size
        else { return false }
        var sealed = lines[peer.offset].sealed
        for index in mark.run..<outbox.count {
            let run = outbox[index]
            var offset = run.offset
            while offset < run.offset + run.length {
                let size = min(run.segment, run.offset + run.length - offset)
                if offset >= mark.used {
                    let datagram = outbox.bytes(offset..<offset + size)
                    if let place = memory.take(datagram, from: Int32(run.trafficClass), at: .distantPast) {
                        memory.append(place, to: &sealed)
                        sealedCount += 1
                    }
                }
                offset += size
            }
        }
        lines[peer.offset].sealed = sealed
        lines[peer.offset].sealedFlow = grant.flow
        flows.age(grant.flow, &lines[peer.offset].turns)
        outbox.truncate(to: mark)
        return true
    }

    /// The bytes of the next sealed datagram to a peer; `nil`: none waits.
    func nextSealed(of peer: PeerSlot) -> Int? {
        let place = lines[peer.offset].sealed.head
        return place < 0 ? nil : Int(memory[place].length)
    }

    /// Takes the next sealed datagram to a peer out; `release` must follow.
    mutating func popSealed(of peer: PeerSlot) -> Waiting? {
        guard !lines[peer.offset].sealed.isEmpty else { return nil }
        let place = memory.takeFirst(of: &lines[peer.offset].sealed)
        let packet = memory[place]
        if lines[peer.offset].sealed.isEmpty { lines[peer.offset].sealedFlow = -1 }
        sealedCount -= 1
        return Waiting(place: place, length: Int(packet.length), origin: packet.origin, isCongested: false)
    }
}
