import Keys

/// Work for the handshake thread about the keys that two ends agree on (docs/protocol.md §7).
public enum KeyJob: Sendable {
    /// Make an encapsulation key, which is used once.
    case offer(exchange: UInt32)
    /// The peer's came, on the session that this is the transcript of; `index` is ours there.
    case reply(to: [UInt8], transcript: InlineArray<32, UInt8>, index: ReceiverIndex)
    /// The ciphertext for ours came, on the session that this is the transcript of.
    case open([UInt8], transcript: InlineArray<32, UInt8>)
    /// The peer says that it has the key of this number, and asks whether we do.
    case question(UInt64)
    /// The peer has this key, or has it not.
    case answer(UInt64, isHeld: Bool)
    /// Forget all of them.
    case forget
}

/// What came of that.
public enum KeyResult: Sendable {
    /// The body of a record to send.
    case offer([UInt8], exchange: UInt32)
    case reply([UInt8], exchange: UInt32, index: ReceiverIndex)
    /// There is a key of this number, which the peer has as well, if all went well.
    case agreed(UInt64)
    /// What the peer sent is of no use.
    case failed
    /// Whether we have a key that the peer has.
    case known(UInt64, isHeld: Bool)
    /// The newest of our keys, the peer not having another one.
    case newest(UInt64?)
}

/// An encapsulation key that waits for its ciphertext.
struct KeyOffer {
    let exchange: UInt32
    /// The key that was agreed on before, as it was offered; 0: none.
    let base: UInt64
    let key: MLKEM768.DecapsulationKey
    let body: [UInt8]
}

extension HandshakeEngine {
    mutating func perform(_ job: KeyJob, for peer: KnownPeer) -> KeyResult? {
        switch job {
        case .offer(let exchange): return offer(exchange, to: peer)
        case .reply(let body, let transcript, let index): return reply(to: body, transcript, index, for: peer)
        case .open(let body, let transcript): return open(body, transcript, for: peer)
        case .question(let number): return .known(number, isHeld: peer.keys.noteShared(number))
        case .answer(let number, true):
            return peer.keys.noteShared(number) ? nil : .newest(peer.keys.agreed.first?.number)
        case .answer(let number, false):
            peer.keys.remove(number)
            return .newest(peer.keys.agreed.first?.number)
        case .forget:
            peer.keys.forgetAgreed()
            peer.offer = nil
            return nil
        }
    }

    private mutating func offer(_ exchange: UInt32, to peer: KnownPeer) -> KeyResult {
        var seed: MLKEM768.Seed = randomness.bytes()
        let key = MLKEM768.DecapsulationKey(consuming: &seed)
        let base = peer.keys.agreed.first(where: \.isShared)?.number ?? 0
        let body = KeyRecord.fields(exchange, base) + key.encapsulationKey
        peer.offer = KeyOffer(exchange: exchange, base: base, key: key, body: body)
        return .offer(body, exchange: exchange)
    }

    private func reply(
        to body: [UInt8], _ transcript: Bytes32, _ index: ReceiverIndex, for peer: KnownPeer
    ) -> KeyResult {
        let bytes = body.span
        var shared = Bytes32(repeating: 0)
        defer { wipe(&shared) }
        guard let publicKey, bytes.count == KeyRecord.encapsulationKeySize,
            let ciphertext = MLKEM768.encapsulate(
                for: bytes.extracting(KeyRecord.fieldsSize..<bytes.count), into: &shared)
        else { return .failed }
        let (exchange, offered) = KeyRecord.fields(of: bytes)
        let base = peer.keys[offered]
        let reply = KeyRecord.fields(exchange, base == nil ? 0 : offered) + ciphertext
        let schedule = KeySchedule(
            transcript: transcript, initiator: peer.publicKey, responder: publicKey, offer: body, reply: reply)
        let (key, number) = schedule.derive(shared.span, configured: peer.keys.configured, base: base)
        peer.keys.add(key, number, isShared: false)
        return .reply(reply, exchange: exchange, index: index)
    }

    private func open(_ body: [UInt8], _ transcript: Bytes32, for peer: KnownPeer) -> KeyResult {
        let bytes = body.span
        guard let publicKey, bytes.count == KeyRecord.ciphertextSize, let offer = peer.offer else { return .failed }
        let (exchange, used) = KeyRecord.fields(of: bytes)
        guard exchange == offer.exchange, used == 0 || used == offer.base else { return .failed }
        // It is used once, whatever comes of it.
        peer.offer = nil
        var shared = Bytes32(repeating: 0)
        defer { wipe(&shared) }
        guard offer.key.decapsulate(bytes.extracting(KeyRecord.fieldsSize..<bytes.count), into: &shared) else {
            return .failed
        }
        let base = used == 0 ? nil : peer.keys[used]
        guard used == 0 || base != nil else { return .failed }
        let schedule = KeySchedule(
            transcript: transcript, initiator: publicKey, responder: peer.publicKey, offer: offer.body, reply: body)
        let (key, number) = schedule.derive(shared.span, configured: peer.keys.configured, base: base)
        // Until the peer says that it has come to the same, nothing is answered with it.
        peer.keys.add(key, number, isShared: false)
        return .agreed(number)
    }
}

extension KeyRecord {
    /// The bytes before key or ciphertext.
    static func fields(_ exchange: UInt32, _ base: UInt64) -> [UInt8] {
        (0..<fieldsSize).map { index in
            index < exchangeSize
                ? UInt8(truncatingIfNeeded: exchange >> (8 * UInt32(index)))
                : UInt8(truncatingIfNeeded: base >> (8 * UInt64(index - exchangeSize)))
        }
    }

    /// The numbers in them: of the exchange, and of the key that was agreed on before.
    static func fields(of body: Span<UInt8>) -> (exchange: UInt32, base: UInt64) {
        let bytes = unsafe body.bytes
        return (bytes.little32(at: 0), bytes.little64(at: exchangeSize))
    }
}
