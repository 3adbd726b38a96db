import Keys

/// What becomes of the secret of an exchange (docs/protocol.md §7.2): a preshared key for the handshakes that follow, and its number.
///
/// It hangs on everything that both ends have said: the handshake of the session, both records, both static keys, the operator's
/// preshared key and the key that was agreed on before.
struct KeySchedule {
    /// The hash of the handshake that made the session, at its end.
    let transcript: Bytes32
    /// The end that made the session, which sends the encapsulation key.
    let initiator: PublicKey
    let responder: PublicKey
    /// The bodies of both records.
    let offer: [UInt8]
    let reply: [UInt8]

    private static let label = Array("gateway v1 ml-kem-768".utf8)

    /// The key and its number. `base` is the key that was agreed on before, if both have it.
    func derive(_ shared: Span<UInt8>, configured: PresharedKey?, base: PresharedKey?) -> (PresharedKey, UInt64) {
        var chain = Blake2s.hash(Self.label.span, transcript.span)
        chain = Blake2s.hash(chain.span, initiator.bytes.span)
        chain = Blake2s.hash(chain.span, responder.bytes.span)
        chain = Blake2s.hash(chain.span, offer.span)
        chain = Blake2s.hash(chain.span, reply.span)
        mix(configured, into: &chain)
        mix(base, into: &chain)
        var output = Blake2s.derive(chainingKey: chain.span, shared)
        defer {
            wipe(&chain)
            wipe(&output.1)
            wipe(&output.2)
        }
        let number = unsafe output.1.span.bytes.little64(at: 0)
        return (PresharedKey(consuming: &output.0), number)
    }

    /// A key that is not there is 32 zeros.
    private func mix(_ key: PresharedKey?, into chain: inout Bytes32) {
        var output =
            if let key {
                Blake2s.derive(chainingKey: chain.span, key.bytes)
            } else {
                Blake2s.derive(chainingKey: chain.span, Bytes32(repeating: 0).span)
            }
        chain = output.0
        wipe(&output.0)
        wipe(&output.1)
        wipe(&output.2)
    }
}
