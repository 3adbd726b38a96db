import Addresses

/// The way in, from the wire to the device, shared by all peers: the chain's inbound half, and the inbox.
@usableFromInline
struct Ingress: ~Copyable {
    private let inPlace = InPlace()
    @usableFromInline var inbox = Inbox()
    var opener: Opener
    /// TCP packets that wait for what was lost before them.
    var reorder: ReorderBuffer
    var refusals = Refusals()
    /// When the thread last had nothing to do.
    var idleAt = Instant.distantPast

    /// `seed` is what an outsider must not know of the flows.
    init(_ cargo: Cargo, seed: UInt64) {
        opener = Opener(cargo)
        reorder = ReorderBuffer(seed: seed)
    }

    /// When units that wait are looked at again.
    var unitsAt = Instant.distantPast

    /// When the next packet that has waited may go to the device.
    var readyAt = Instant.distantPast

    /// Gives the device a packet or a frame that has waited; false if there is no room, which there should be.
    mutating func deliver(_ ready: ReorderBuffer.Ready, at now: Instant) -> Bool {
        guard let place = Self.decode(ready, of: &reorder, into: &inbox, at: now) else { return false }
        if opener.cargo == .frames { return inbox.append(frame: Inbox.Decoded(place: place, shape: ready.shape)) }
        guard let header = InternetPacket(inbox.bytes(decoded: place)) else { return false }
        return inbox.append(decoded: Inbox.Decoded(place: place, shape: ready.shape), header)
    }

    private static func decode(
        _ ready: ReorderBuffer.Ready, of reorder: inout ReorderBuffer, into inbox: inout Inbox, at now: Instant
    ) -> Range<Int>? {
        inbox.decode(ready.length) { space in
            reorder.pop(ready, into: &space, at: now)
            return ready.length
        }
    }

    /// Puts a datagram that was had back into the inbox's memory, sealed; `nil` if there is no room.
    mutating func place(_ rebuilt: ParityWindow.Rebuilt, of peer: PeerSlot) -> Range<Int>? {
        Self.place(rebuilt, of: peer, opener.parity, in: &inbox)
    }

    private static func place(
        _ rebuilt: ParityWindow.Rebuilt, of peer: PeerSlot, _ parity: borrowing ParityWindow, in inbox: inout Inbox
    ) -> Range<Int>? {
        inbox.decode(rebuilt.length) { space in
            parity.write(rebuilt, of: peer, to: &space)
            return rebuilt.length
        }
    }

    /// Units of which too few fragments came.
    var abandonedUnits: UInt64 { opener.abandonedUnits }

    /// Tells a sender through the device that its packet goes nowhere, with room in the inbox. `source` is who says so; if it
    /// is `nil`, the address that the packet was for.
    mutating func answer(_ refusal: Refusal, from source: IPAddress?) {
        let first = inbox.decodedCount
        let place = inbox.decode(Unreachable.maximumSize) { space in
            unsafe Unreachable.write(
                answering: refusal.packet.span.bytes, refusal.header, from: source, fitting: refusal.fitting, to: &space
            )
        }
        guard let place, Cargo.readPacket(at: place, of: &inbox) else { return }
        let answer = inbox.decodedPacket(first)
        guard let header = InternetPacket(inbox.bytes(decoded: answer.place)) else { return }
        _ = inbox.append(decoded: answer, header)
    }

    /// Opens a transport message in place and says what was in it; packets that were decoded are in the inbox. Their
    /// peer's budget pays for decoding them.
    @inline(__always)
    mutating func open(
        _ datagram: inout MutableRawSpan, on lane: inout Lane, _ context: Opener.Context,
        charging budget: inout IngressBudget
    ) -> Inbound {
        opener.open(&datagram, on: &lane, context, charging: &budget, into: &inbox)
    }
}
