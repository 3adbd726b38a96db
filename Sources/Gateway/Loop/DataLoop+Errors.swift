import Addresses
import CTun
import LinuxIO
import TunnelCore

// Errors of the system and the network about what was sent. Whoever reads the log or the statistics is told; nothing else
// changes by it.

extension DataLoop {
    /// Errors that one turn takes.
    private static let mostErrors = 64

    /// Notes what the last flush could not send.
    @inline(never)
    mutating func noteFailures() {
        let now = Self.now()
        for failure in departures.failures {
            tunnel.noteNotSent(toPeer: failure.peer, errno: failure.errno, at: now)
        }
    }

    /// Notes what our own interface took only in pieces.
    @inline(never)
    mutating func noteDivided() {
        let now = Self.now()
        for index in departures.divided.indices { tunnel.noteDivided(toPeer: departures.divided[index], at: now) }
    }

    /// Counts what found no room in the last flush, each with its peer.
    @inline(never)
    mutating func noteCrowded() {
        for index in departures.crowded.indices {
            let (peer, datagrams) = departures.crowded[index]
            tunnel.noteQueueFull(toPeer: peer, datagrams: datagrams)
        }
    }

    /// Takes the ICMP errors that wait at a socket.
    @inline(never)
    static func takeErrors(_ socket: inout UDPSocket?, _ tunnel: inout Tunnel, at now: Now) {
        for _ in 0..<mostErrors {
            guard let error = socket?.takeError() else { return }
            if error.mtu > 0, let remote = error.remote.endpoint {
                note(error, about: remote, &tunnel, at: now)
                continue
            }
            guard let remote = error.remote.endpoint, let rejection = PeerProblem.Rejection(error) else { continue }
            tunnel.noteRejected(remote, rejection, at: now)
        }
    }
}

extension DataLoop {
    /// Takes an error about a datagram that was too big.
    private static func note(
        _ error: ctun_udp_error, about remote: Endpoint, _ tunnel: inout Tunnel, at now: Now
    ) {
        var quote = unsafe withUnsafeBytes(of: error.quote) { unsafe Array($0) }
        quote.removeLast(quote.count - min(Int(error.quoted), quote.count))
        unsafe tunnel.noteTooBig(Int(error.mtu), to: remote, quote: quote.span.bytes, at: now)
    }
}

extension PeerProblem.Rejection {
    /// `nil` for a datagram that was too big, without a size.
    fileprivate init?(_ error: ctun_udp_error) {
        let isV4 = error.remote.family == 4
        guard isV4 ? (error.type, error.code) != (3, 4) : error.type != 2 else { return nil }
        self.init(isV4 ? Self.reasonV4(error) : Self.reasonV6(error), by: error.offender.address)
    }

    /// RFC 792, RFC 1812 §5.2.7.1.
    private static func reasonV4(_ error: ctun_udp_error) -> Reason {
        switch (error.type, error.code) {
        case (3, 0), (3, 6), (3, 11): .network
        case (3, 1), (3, 7), (3, 8), (3, 12): .host
        case (3, 3): .port
        case (3, 9), (3, 10), (3, 13): .prohibited
        case (11, _): .hops
        default: .other
        }
    }

    /// RFC 4443 §3.
    private static func reasonV6(_ error: ctun_udp_error) -> Reason {
        switch (error.type, error.code) {
        case (1, 0): .network
        case (1, 3): .host
        case (1, 4): .port
        case (1, 1), (1, 5), (1, 6): .prohibited
        case (3, _): .hops
        default: .other
        }
    }
}
