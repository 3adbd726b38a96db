/// The state of the search for a path MTU, RFC 8899 §5.2. Base: nothing has been answered yet, and datagrams are as large as ever,
/// without DF.
public enum PathPhase: Sendable { case disabled, base, searching, complete, error }

/// How a path MTU is known.
public enum PathSource: Sendable { case assumed, probed, icmp }

/// A path MTU that was found, in bytes of the IP packet outside.
public struct PathNews: Sendable, Equatable {
    public let mtu: Int
    public let source: PathSource
    /// What is larger vanishes, and nobody says so: a black hole.
    public let isSilent: Bool
}
