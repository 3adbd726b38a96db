import CTun

/// Who is at the other end of a Unix socket, as the kernel noted it when they connected (`SO_PEERCRED`).
public struct PeerCredentials: Equatable, Sendable {
    public let process: Int32
    public let user: UInt32
    public let group: UInt32

    /// Asks for the connected Unix socket `descriptor`.
    public init(of descriptor: Int32) throws(SystemError) {
        var answer = InlineArray<1, ctun_credentials>(repeating: ctun_credentials())
        var span = answer.mutableSpan
        try SystemError.check(
            ctun_peer_credentials(descriptor, &span), "ask who is at the other end of descriptor \(descriptor)")
        process = answer[0].process
        user = answer[0].user
        group = answer[0].group
    }
}
