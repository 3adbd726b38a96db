import Glibc
import LinuxIO
import TunnelCore

extension PeerProblem {
    /// A word for programs, as `lastProblemCode` in the statistics: a contract.
    var code: String {
        switch self {
        case .unanswered: "unanswered"
        case .notSent: "notSent"
        case .rejected: "rejected"
        case .loop: "loop"
        case .noAddress: "noAddress"
        case .response: "response"
        case .replayed: "replayed"
        case .unconfirmed: "unconfirmed"
        }
    }

    /// In a line of the log after the peer's name, and as the last problem in the statistics.
    var text: String {
        switch self {
        case .unanswered: "no answer to our handshake\(hint)"
        case .notSent(let endpoint, let number):
            "can't send to \(endpoint): \(SystemError.text(of: number))\(Self.cause(of: number))"
        case .rejected(let endpoint, let rejection):
            "what we send to \(endpoint) comes back: \(rejection.text)"
        case .loop(let endpoint):
            "the endpoint \(endpoint) is routed into the tunnel itself: AllowedIPs hold it, and no other route leads there"
        case .noAddress(let reason): "no address for \(reason), asking again"
        case .response: "its answer to our handshake does not open: is the preshared key the same on both ends?"
        case .replayed: "its handshake is not newer than the last: did its clock go back?"
        case .unconfirmed:
            "we answered its handshake, but nothing came on the session: is the preshared key the same on both ends, "
                + "and does what we send arrive?"
        }
    }

    /// The advice what to look at when nobody answers.
    var hint: String { ". Is the endpoint right, the peer up, our key known to it?" }

    private static func cause(of number: Int32) -> String {
        switch number {
        case EPERM: " (a firewall of this machine?)"
        case EACCES: " (a route that prohibits it?)"
        case EMSGSIZE: " (a datagram larger than the path takes)"
        default: ""
        }
    }
}

extension PeerProblem.Rejection {
    fileprivate var text: String {
        let what =
            switch reason {
            case .port: "port unreachable"
            case .host: "host unreachable"
            case .network: "network unreachable"
            case .prohibited: "prohibited by a firewall"
            case .hops: "too many hops, as in a loop of routes"
            case .other: "an ICMP error"
            }
        let who = by.map { ", says \($0)" } ?? ""
        return reason == .port ? "\(what)\(who); does the peer run, on this port?" : what + who
    }
}
