import Addresses

/// The way in, from the wire to the device, shared by all peers: the chain's inbound half, and the inbox.
@usableFromInline
struct Ingress: ~Copyable {
    @usableFromInline var inbox = Inbox()
    var opener: Opener
    var refusals = Refusals()
    /// When the thread last had nothing to do.
    var idleAt = Instant.distantPast

    init(_ cargo: Cargo) { opener = Opener(cargo) }

    /// Units of which too few fragments came.
    var abandonedUnits: UInt64 { opener.abandonedUnits }

    /// Tells a sender through the device that its packet goes nowhere, with room in the inbox. `source` is who says so; if it
    /// is `nil`, the address that the packet was for.
    mutating func answer(_ refusal: Refusal, from source: IPAddress?) {
        let first = inbox.decodedCount
        let place = inbox.decode(Unreachable.maximumSize) { space in
            unsafe Unreachable.write(answering: refusal.packet.span.bytes, refusal.header, from: source, to: &space)
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
