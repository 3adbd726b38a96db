import TunnelCore

extension PathNews {
    /// In a line of the log after the peer's name.
    var text: String {
        guard !isSilent else {
            return
                "the path takes \(mtu) bytes, and what is larger vanishes without a word (a black hole: ICMP is dropped on the way); "
                + "datagrams are of that size from now on"
        }
        return switch source {
        case .icmp: "the path takes \(mtu) bytes, as ICMP says"
        case .probed, .assumed: "the path takes \(mtu) bytes"
        }
    }
}
