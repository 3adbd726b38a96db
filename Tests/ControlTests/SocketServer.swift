import Control
import Dispatch
import Glibc
import Synchronization
import Testing

/// A server on a Unix socket in a folder of its own that says the same to everyone and closes.
final class SocketServer: Sendable {
    let directory: RunDirectory
    let name: InterfaceName
    private let listener: Int32
    private let received = Mutex<[UInt8]>([])

    var client: ControlClient { ControlClient(interface: name, in: directory) }

    /// What the latest client sent.
    var request: String { received.withLock { String(decoding: $0, as: UTF8.self) } }

    /// - Parameters:
    ///   - reply: `nil` says nothing and keeps the connection open.
    ///   - flood: how many more bytes follow the reply.
    static func with(reply: String?, flood: Int = 0, _ body: (SocketServer) throws -> Void) throws {
        try Folder.with { folder in
            let server = try SocketServer(folder)
            defer { server.stop() }
            if let reply { server.serve(Array(reply.utf8), flood: flood) }
            try body(server)
        }
    }

    private init(_ folder: String) throws {
        directory = RunDirectory(folder)
        name = try #require(InterfaceName("branch"))
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { field in
            unsafe field.copyBytes(from: Array(directory.socket(of: name).utf8))
        }
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(listener, pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        try #require(listen(listener, 8) == 0)
    }

    /// Takes no more connections. The descriptor stays until the thread that uses it has ended: another test's would
    /// get its number.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    deinit { close(listener) }

    private func serve(_ reply: [UInt8], flood: Int) {
        // A thread of its own: the tests' threads are few and each waits in a client.
        DispatchQueue.global().async { [self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                receive(connection)
                send(reply, to: connection)
                let chunk = [UInt8](repeating: 0x41, count: 1 << 20)
                for _ in 0..<(flood >> 20) where !send(chunk, to: connection) { break }
                close(connection)
            }
        }
    }

    /// Reads head and body of one request.
    private func receive(_ connection: Int32) {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        repeat {
            let count = unsafe chunk.withUnsafeMutableBytes { buffer in
                unsafe recv(connection, buffer.baseAddress, buffer.count, 0)
            }
            guard count > 0 else { break }
            bytes += chunk[..<count]
        } while !isComplete(bytes)
        received.withLock { $0 = bytes }
    }

    private func isComplete(_ bytes: [UInt8]) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return false }
        guard let length = parts[0].split(separator: "Content-Length: ").dropFirst().first else { return true }
        return parts[1].utf8.count >= Int(length.prefix { $0.isNumber }) ?? 0
    }

    @discardableResult
    private func send(_ bytes: [UInt8], to connection: Int32) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes[done...].withUnsafeBytes { buffer in
                unsafe Glibc.send(connection, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }
}
