public import Addresses
public import Keys

/// An event that a person may want to know.
public enum TunnelEvent: Sendable, Equatable {
    /// A session was made.
    case handshakeDone(PublicKey, Path, initiator: Bool)
    /// An initiation was not answered and is sent again: how many in a row were not, and why, if that is known.
    case handshakeUnanswered(PublicKey, attempt: Int, cause: PeerProblem? = nil)
    /// Something keeps a peer from being reached, and was not known before.
    case troubled(PublicKey, PeerProblem)
    /// `packets` of a peer were dropped since this was said last, the last one from this source: none of its AllowedIPs.
    case sourceRefused(PublicKey, IPAddress, packets: Int)
    /// `drops` units, bundles or copies of frames of a peer were dropped since this was said last: beyond its budget.
    case budgetExceeded(PublicKey, drops: Int)
    /// Sessions are made with a key now that a quantum computer does not find, or are no more.
    case keyExchange(PublicKey, isAgreed: Bool)
    /// A peer takes no part in the key exchange that its configuration here demands: no packet goes to it.
    case keyExchangeRefused(PublicKey)
    /// No answer for 90 s; `dropped` packets had waited for it.
    case handshakeGivenUp(PublicKey, dropped: Int)
    /// A handshake message was wrong. The key is the sender's, if it proved it.
    case handshakeFailed(HandshakeFailure, PublicKey?, Path?)
    /// A peer says what it decodes; the cipher is what data to it is sealed with from now on.
    case peerAnnounced(PublicKey, CodecSet, CipherSuite, version: UInt8)
    /// A peer says how fast it can be sent to; `nil`: it does so no more.
    case downRate(PublicKey, kilobits: UInt32?)
    /// What it says of that is no rate to send at, and is ignored.
    case downRateRefused(PublicKey, kilobits: UInt32)
    /// A peer says nothing of what arrives, by which the rate to it was to be found: it is the least that it may be.
    case rateUnheard(PublicKey, kilobits: UInt64)
    /// A peer takes no Ethernet frames, which are all that we have: nothing is sent to it.
    case ethernetRefused(PublicKey)
    /// A peer carries Ethernet frames, and we packets: it drops them.
    case packetsRefused(PublicKey)
    /// A peer can't do AES-256-GCM, which its configuration here demands: nothing is sent to it.
    case cipherRefused(PublicKey)
    /// A peer has said nothing of AES-256-GCM, which its configuration here demands: nothing is sent to it.
    case cipherUnknown(PublicKey)
    /// A peer talks from somewhere else.
    case roamed(PublicKey, Path)
    /// The path to a peer takes datagrams of another size than was known.
    case pathMTU(PublicKey, PathNews)
    /// A peer says something of a key that takes the place of another.
    case rotation(PublicKey, RotateRecord)
    /// All keys of a peer were wiped after a long silence.
    case wiped(PublicKey)
}
