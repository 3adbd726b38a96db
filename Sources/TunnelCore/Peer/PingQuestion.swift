/// A question to a peer how long the way there and back takes.
public enum PingQuestion: Sendable, Equatable {
    case noPeer
    /// There is no session; a handshake was begun, if one can be.
    case noSession
    /// There is a session, and the peer answers no PING: it is no gateway, or has not said yet that it is one.
    case takesNone(saysNothing: Bool)
    /// It was asked with this token.
    case asked(UInt64)
}
