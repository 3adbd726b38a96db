import Keys

// ROTATE (docs/protocol.md §3.13): a key takes the place of another. What is written down between two messages is not ours: here
// records are sent, and those that come are passed on as events.

/// Whether a peer can be told of another key.
public enum RotateOutcome: Sendable, Equatable {
    case noPeer
    /// There is no session, or none on which a secret may go; one will be made.
    case noSession
    /// It is no gateway, or one that knows nothing of this. It may say so yet if it has said nothing on this session.
    case takesNone(saysNothing: Bool)
    /// It takes such records, and got the one that was to be sent.
    case reached
}

extension Peer {
    /// Tells the peer of a key, or only sees whether that would reach it.
    mutating func rotate(_ record: RotateRecord?, _ services: inout Services) -> RotateOutcome {
        guard let session = keypairs.current, path != nil, services.sessions[session].canSend(at: services.now.instant)
        else {
            if record == nil { startHandshake(&services) }
            return .noSession
        }
        let hello = services.sessions[session].hello
        // On a session without data nobody has said what he takes.
        if rotates, !hello.hasArrived, hello.sent == 0 { sendHello(on: session, &services) }
        guard rotates, hello.records.contains(.rotate) else { return .takesNone(saysNothing: !hello.hasArrived) }
        // A secret that is new goes on no session that a quantum computer opens, where the operator lets no packet go on one.
        if record.map({ $0.subject == .presharedKey && $0.step == .offer }) ?? true, requiresAgreed,
            !services.sessions[session].presharedKey.isAgreed
        {
            return .noSession
        }
        if let record { _ = transmit(.control(.rotate(record)), on: session, &services) }
        return .reached
    }

    /// A session that was begun after the preshared key was set.
    func keysStand(_ services: borrowing Services) -> Bool {
        guard let session = keypairs.current else { return false }
        return services.sessions[session].createdAt > presharedKeySetAt
    }

    /// Asks for a session with the keys of now; the one that stands goes on until then.
    mutating func renew(_ services: inout Services) {
        guard keypairs.current != nil || handshaking.pending != nil else { return }
        handshaking.allowAtOnce()
        startHandshake(&services)
    }

    /// A session was made with the public key that is to take the place of the peer's: it has it.
    mutating func noteShown(on session: SessionSlot, _ services: inout Services) {
        guard services.sessions[session].isOfNextKey, let nextPublicKey else { return }
        services.note(.rotation(publicKey, RotateRecord(.publicKey, .done, nextPublicKey.bytes)))
    }

    /// Passes a record on. What comes in floods is not: it comes again.
    mutating func receive(_ record: RotateRecord, _ services: inout Services) {
        // A session shows that a public key is in use, not a word.
        guard record.subject != .publicKey || record.step != .done else { return }
        guard rotations.admit(at: services.now.instant) else { return drops.count(.budget) }
        services.note(.rotation(publicKey, record))
    }
}

extension TokenBucket {
    /// Words about keys, each of which may have a file written.
    static var rotations: TokenBucket { TokenBucket(every: .milliseconds(500), atOnce: 8) }
}
