// What need not wait any more, on its way out: peers take turns, and of a peer it goes in the order in which it became ready.

extension ReorderBuffer {
    /// Whether any packet may go to the device.
    var hasReady: Bool { readyCount > 0 }

    /// The next packet that may go to the device; peers take turns.
    mutating func nextReady() -> Ready? {
        guard readyCount > 0 else { return nil }
        while !turns.isEmpty {
            let peer = PeerSlot(turns.head)
            if let ready = nextReady(of: peer) { return ready }
            removeFirstTurn()
        }
        return nil
    }

    /// The next packet of a peer that may go to the device.
    func nextReady(of peer: PeerSlot) -> Ready? {
        guard peer.offset < lines.count, !lines[peer.offset].ready.isEmpty else { return nil }
        let place = lines[peer.offset].ready.head
        return Ready(peer: peer, length: held[place].length, shape: held[place].shape, place: place)
    }

    /// Moves a packet that `nextReady` named to the start of `space`, which must be large enough.
    mutating func pop(_ ready: Ready, into space: inout MutableRawSpan, at now: Instant) {
        held.copy(ready.place, to: &space)
        lines[ready.peer.offset].delays.note(now - held[ready.place].heldAt, at: now)
        removeFirstReady(of: ready.peer)
        guard turns.head == ready.peer.number, turns.head != turns.tail else { return }
        removeFirstTurn()
        addTurn(ready.peer)
    }

    mutating func makeReady(_ place: Int32) {
        held.stopAging(place)
        let flow = Int(held[place].flow)
        let peer = PeerSlot(flows[flow].peer)
        flows[flow].ready += 1
        readyCount += 1
        if lines[peer.offset].ready.isEmpty {
            lines[peer.offset].ready.head = place
        } else {
            held[lines[peer.offset].ready.tail].next = place
        }
        lines[peer.offset].ready.tail = place
        if !lines[peer.offset].hasTurn { addTurn(peer) }
    }

    mutating func removeFirstReady(of peer: PeerSlot) {
        let place = lines[peer.offset].ready.head
        let packet = held[place]
        lines[peer.offset].ready.head = packet.next
        lines[peer.offset].blocks -= HeldPackets.blocks(for: packet.length)
        lines[peer.offset].packets -= 1
        lines[peer.offset].bytes -= packet.length
        held.remove(place)
        readyCount -= 1
        let flow = Int(packet.flow)
        flows[flow].ready -= 1
        if flows[flow].ready == 0, !flows[flow].isKnown { flows.forget(flow) }
    }

    private mutating func addTurn(_ peer: PeerSlot) {
        lines[peer.offset].hasTurn = true
        lines[peer.offset].next = -1
        if turns.isEmpty { turns.head = peer.number } else { lines[Int(turns.tail)].next = peer.number }
        turns.tail = peer.number
    }

    private mutating func removeFirstTurn() {
        let line = Int(turns.head)
        lines[line].hasTurn = false
        turns.head = lines[line].next
        if turns.isEmpty { turns.tail = -1 }
    }
}
