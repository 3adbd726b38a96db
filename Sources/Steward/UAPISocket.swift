public import Control
import Glibc
public import LinuxIO

/// The socket for WireGuard's configuration protocol, where `wg` looks for it.
public enum UAPISocket {
    private static let directory = "/var/run/wireguard"

    public static func path(of name: InterfaceName) -> String { "\(directory)/\(name).sock" }

    /// Makes the socket, for root alone. One that nobody answers on is replaced; `EADDRINUSE` if somebody does.
    public static func open(_ name: InterfaceName) throws(SystemError) -> FileDescriptor {
        _ = unsafe mkdir(directory, 0o755)
        return try UnixListener.open(path: path(of: name), mode: 0o600, group: nil)
    }
}
