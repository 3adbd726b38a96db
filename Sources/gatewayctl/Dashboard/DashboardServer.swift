import Control
import Glibc
import Keys

/// A web server for one page and one browser, on the loopback: one request at a time, each with a few seconds.
///
///     GET /?token=…   once: a cookie, and on to /
///     GET /           the page                     with the cookie
///     GET /data       statistics and events        with the cookie
///
/// Who asks by another name than an address of the loopback, or from another page, gets nothing (DNS rebinding, CSRF).
struct DashboardServer: ~Copyable {
    private static let longestHead = 16_384
    private static let patience = timeval(tv_sec: 3, tv_usec: 0)

    private let client: ControlClient
    private let listener: Int32
    private let port: UInt16
    private var token: String?
    private let cookie: String
    private let nonce: String

    /// `nil` if the port can't be had; errno says why.
    init?(_ client: ControlClient, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var one: Int32 = 1
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(descriptor, pointer, size) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, pointer, &size) == 0
            }
        }
        guard isBound else {
            let reason = errno
            close(descriptor)
            errno = reason
            return nil
        }
        self.client = client
        listener = descriptor
        self.port = UInt16(bigEndian: address.sin_port)
        token = Self.secret()
        cookie = Self.secret()
        nonce = Self.secret()
    }

    deinit { close(listener) }

    private static func secret() -> String { PresharedKey.generate().hex }

    /// What a browser opens, once.
    var address: String { "http://127.0.0.1:\(port)/?token=\(token ?? "")" }

    /// Waits for a request and answers it.
    mutating func serveOne() {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return }
        _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
        defer { close(connection) }
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            var patience = Self.patience
            unsafe setsockopt(connection, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        guard let request = Self.read(connection) else { return }
        Self.write(answer(request).bytes, to: connection)
        shutdown(connection, Int32(SHUT_WR))
    }

    // MARK: Requests

    private struct Request {
        let method: String
        let path: String
        let headers: [(name: String, value: String)]

        func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
        func count(_ name: String) -> Int { headers.count { $0.name == name } }
    }

    private static func read(_ connection: Int32) -> Request? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        let end = Array("\r\n\r\n".utf8)
        let deadline = FullScreen.now + 3
        while bytes.count < longestHead, FullScreen.now < deadline {
            let count = unsafe recv(connection, &chunk, chunk.count, 0)
            guard count > 0 else { return nil }
            bytes += chunk[..<count]
            guard bytes.count >= 4, let place = bytes.indices.first(where: { bytes[$0...].starts(with: end) }) else {
                continue
            }
            let lines = String(decoding: bytes[..<place], as: UTF8.self).split(separator: "\r\n")
            let words = (lines.first ?? "").split(separator: " ")
            guard words.count == 3 else { return nil }
            let headers = lines.dropFirst().map { line in
                let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                let value = parts.count == 2 ? parts[1].drop { $0 == " " } : ""
                return (name: parts[0].lowercased(), value: String(value))
            }
            return Request(method: String(words[0]), path: String(words[1]), headers: headers)
        }
        return nil
    }

    private struct Answer {
        var status: String
        var type = "text/plain; charset=utf-8"
        var headers: [String] = []
        var body: [UInt8]

        static func refusal(_ status: String, _ text: String) -> Answer {
            Answer(status: status, body: Array("\(text)\n".utf8))
        }

        var bytes: [UInt8] {
            let fixed = [
                "HTTP/1.1 \(status)", "Content-Type: \(type)", "Content-Length: \(body.count)", "Connection: close",
                "Cache-Control: no-store", "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer",
                "Cross-Origin-Resource-Policy: same-origin", "X-Frame-Options: DENY",
            ]
            return Array(((fixed + headers).joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
        }
    }

    private mutating func answer(_ request: Request) -> Answer {
        let names = ["127.0.0.1:\(port)", "localhost:\(port)"]
        guard request.count("host") == 1, let host = request.header("host"), names.contains(host) else {
            return .refusal("403 Forbidden", "ask by 127.0.0.1")
        }
        if let origin = request.header("origin"), origin != "http://\(host)" {
            return .refusal("403 Forbidden", "another page asks")
        }
        if let site = request.header("sec-fetch-site"), site != "same-origin", site != "none" {
            return .refusal("403 Forbidden", "another page asks")
        }
        guard request.method == "GET" else { return .refusal("405 Method Not Allowed", "GET alone") }
        if request.path.hasPrefix("/?token=") { return begin(String(request.path.dropFirst(8))) }
        guard isKnown(request) else {
            return .refusal("403 Forbidden", "open the address that gatewayctl dashboard printed; it is good once")
        }
        switch request.path {
        case "/": return page
        case "/data": return data
        default: return .refusal("404 Not Found", "there is no such page")
        }
    }

    private mutating func begin(_ told: String) -> Answer {
        guard let expected = token, Self.isSame(told, expected) else {
            return .refusal("403 Forbidden", "this address was used; run gatewayctl dashboard again")
        }
        token = nil
        return Answer(
            status: "303 See Other",
            headers: ["Location: /", "Set-Cookie: gateway=\(cookie); HttpOnly; SameSite=Strict; Path=/"], body: [])
    }

    private func isKnown(_ request: Request) -> Bool {
        let cookies = (request.header("cookie") ?? "").split(separator: ";").map { $0.drop { $0 == " " } }
        return cookies.contains { $0.hasPrefix("gateway=") && Self.isSame(String($0.dropFirst(8)), cookie) }
    }

    /// Takes as long for a wrong text as for the right one.
    private static func isSame(_ one: String, _ other: String) -> Bool {
        let (a, b) = (Array(one.utf8), Array(other.utf8))
        guard a.count == b.count else { return false }
        return zip(a, b).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    // MARK: Answers

    private var page: Answer {
        let policy =
            "default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; connect-src 'self'; img-src data:; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        return Answer(
            status: "200 OK", type: "text/html; charset=utf-8", headers: ["Content-Security-Policy: \(policy)"],
            body: Array(DashboardPage.html(nonce: nonce).utf8))
    }

    private struct Data: Encodable {
        let statistics: InterfaceStatistics
        let events: [GatewayEvent]
    }

    private var data: Answer {
        do throws(ControlError) {
            let events = try client.events(EventFilter(limit: 50)).events
            let data = Data(statistics: try client.statistics(), events: events)
            guard let body = try? JSON.encode(data) else { return .refusal("500 Internal Server Error", "no JSON") }
            return Answer(status: "200 OK", type: "application/json", body: body)
        } catch {
            return .refusal("503 Service Unavailable", "\(error)")
        }
    }

    private static func write(_ bytes: [UInt8], to connection: Int32) {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes[done...].withUnsafeBytes { buffer in
                unsafe send(connection, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            done += count
        }
    }
}
