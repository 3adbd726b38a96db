public import Addresses
import CTun

/// A TCP socket that takes connections.
public enum TCPListener {
    /// Binds to the endpoint and listens.
    public static func open(_ endpoint: Endpoint) throws(SystemError) -> FileDescriptor {
        var address = ctun_address(endpoint)
        return try FileDescriptor(unsafe ctun_tcp_listen(&address), "listen on TCP \(endpoint)")
    }
}
