import Glibc

/// An IPv4 and an IPv6 socket on one port; a host that lacks one family has just the other.
@frozen
public struct UDPSocketPair: ~Copyable, Sendable {
    public var v4: UDPSocket?
    public var v6: UDPSocket?
    /// The port of both.
    public let port: UInt16

    /// Takes over sockets that another process has made, of which there is one at least.
    public init(adopting v4: consuming UDPSocket?, _ v6: consuming UDPSocket?) throws(SystemError) {
        guard let port = v4?.localPort ?? v6?.localPort else {
            throw SystemError("take over sockets", number: ENOTSOCK)
        }
        self.v4 = v4
        self.v6 = v6
        self.port = port
    }

    fileprivate init(v4: consuming UDPSocket?, v6: consuming UDPSocket?, port: UInt16) {
        self.v4 = v4
        self.v6 = v6
        self.port = port
    }

    /// No sockets.
    public static var none: UDPSocketPair { UDPSocketPair(v4: nil, v6: nil, port: 0) }
}

extension UDPSocket {
    /// How often another free port is tried when the second family has it taken.
    private static let attempts = 100

    /// Binds both families to `port`, or for 0 to one that is free in both.
    ///
    /// A family that this host lacks is left out; the error is that of IPv4 if it lacks both. A port that is taken in
    /// either family is an error that names it.
    public static func pair(port: UInt16, fwmark: UInt32 = 0) throws(SystemError) -> UDPSocketPair {
        var remaining = attempts
        while true {
            do throws(SystemError) {
                return try attemptPair(port: port, fwmark: fwmark)
            } catch {
                remaining -= 1
                guard port == 0, error.number == EADDRINUSE, remaining > 0 else { throw error }
            }
        }
    }

    private static func attemptPair(port: UInt16, fwmark: UInt32) throws(SystemError) -> UDPSocketPair {
        var missing: SystemError?
        var v4: UDPSocket?
        do throws(SystemError) {
            v4 = try UDPSocket(family: .v4, port: port, fwmark: fwmark)
        } catch {
            guard isLackOfFamily(error) else { throw error }
            missing = error
        }
        let shared = v4?.localPort ?? port
        do throws(SystemError) {
            let v6 = try UDPSocket(family: .v6, port: shared, fwmark: fwmark)
            let port = v6.localPort
            return UDPSocketPair(v4: v4, v6: v6, port: port)
        } catch {
            guard isLackOfFamily(error) else { throw error }
            if let missing { throw missing }
            return UDPSocketPair(v4: v4, v6: nil, port: shared)
        }
    }

    private static func isLackOfFamily(_ error: SystemError) -> Bool {
        error.number == EAFNOSUPPORT || error.number == EADDRNOTAVAIL
    }
}
