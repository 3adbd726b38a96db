extension PeerStatistics {
    /// How far two ends are with the key exchange that a quantum computer does not undo, as a word for programs.
    public enum KeyExchangeStage: String, Codable, CaseIterable, Sendable {
        /// The session is made with it.
        case agreed
        /// The peer has not said yet what it takes.
        case unsaid
        /// It takes no part.
        case refused
        case underWay
        /// Something that belongs to it does not get there or back.
        case unanswered
    }
}
