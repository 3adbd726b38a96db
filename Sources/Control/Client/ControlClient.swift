public import Keys

/// Asks one running gateway over its control socket. Each call is a connection of its own and blocks.
public struct ControlClient: Sendable {
    public let interface: InterfaceName
    let socket: String
    private let patience: Duration

    /// - Parameter patience: how long a whole call may take.
    public init(interface: InterfaceName, in directory: RunDirectory = .current, patience: Duration = .seconds(10)) {
        self.interface = interface
        socket = directory.socket(of: interface)
        self.patience = patience
    }

    /// `GET /v1/stats`.
    public func statistics() throws(ControlError) -> InterfaceStatistics {
        try read(InterfaceStatistics.self, from: try request("GET", "/v1/stats"))
    }

    /// The daemon's process, as the kernel knows it.
    public func serverProcess() throws(ControlError) -> Int32 {
        try UnixStream(interface: interface, path: socket, deadline: .now + patience).serverProcess()
    }

    /// `GET /v1/diagnose`.
    public func diagnosis() throws(ControlError) -> DiagnosisFacts {
        try read(Facts.self, from: try request("GET", "/v1/diagnose")).facts
    }

    private struct Facts: Decodable {
        let facts: DiagnosisFacts
    }

    /// `POST /v1/peers/PEER/ping`.
    /// - Parameter peer: its public key in base64, or its name.
    public func ping(_ peer: String) throws(ControlError) -> PingReply {
        try read(PingReply.self, from: try request("POST", "/v1/peers/\(peer.percentEncoded)/ping"))
    }

    /// `POST /v1/peers/PEER/rotate`: another preshared key, at both ends.
    /// - Parameter peer: its public key in base64, or its name.
    public func rotatePresharedKey(withPeer peer: String) throws(ControlError) -> RotationReply {
        try read(RotationReply.self, from: try request("POST", "/v1/peers/\(peer.percentEncoded)/rotate"))
    }

    /// `POST /v1/key/rotate`: another private key of this end, of which its peers are told first.
    public func rotateKey(leavingBehind: Bool) throws(ControlError) -> KeyRotationReply {
        let query = leavingBehind ? "?leaveBehind=1" : ""
        return try read(KeyRotationReply.self, from: try request("POST", "/v1/key/rotate" + query))
    }

    /// `GET /v1/key`: the interface's public key, in base64.
    public func publicKey() throws(ControlError) -> String {
        try read(KeyReply.self, from: try request("GET", "/v1/key")).publicKey
    }

    /// `PUT /v1/key`: another private key, at once and in the daemon's files. Returns the public key that belongs to it.
    public func setPrivateKey(_ key: PrivateKey) throws(ControlError) -> String {
        let body = try write(KeyChange(privateKey: key.base64))
        return try read(KeyReply.self, from: try request("PUT", "/v1/key", body: body)).publicKey
    }

    /// `PUT /v1/psk`.
    /// - Parameter peer: its public key in base64, or its name.
    public func setPresharedKey(_ key: PresharedKey, ofPeer peer: String) throws(ControlError) {
        let body = try write(PresharedKeyChange(peer: peer, presharedKey: key.base64))
        _ = try request("PUT", "/v1/psk", body: body)
    }
}

extension ControlClient {
    /// The body of a successful reply.
    func request(_ method: String, _ target: String, body: [UInt8]? = nil) throws(ControlError) -> [UInt8] {
        let stream = try UnixStream(interface: interface, path: socket, deadline: .now + patience)
        var head = "\(method) \(target) HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nAccept: application/json\r\n"
        head += "User-Agent: gatewayctl/\(Release.version)\r\n"
        if let body { head += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n" }
        try stream.send(Array((head + "\r\n").utf8) + (body ?? []))
        let reply = try receive(from: stream)
        guard (200..<300).contains(reply.status) else {
            throw .refused(status: reply.status, message: Self.message(of: reply.body))
        }
        return reply.body
    }

    private func receive(from stream: borrowing UnixStream) throws(ControlError) -> HTTPReply {
        var bytes: [UInt8] = []
        var head: HTTPReply.Head?
        while true {
            let atEnd = try !stream.receive(into: &bytes)
            do throws(HTTPReply.Malformed) {
                guard bytes.count <= HTTPReply.largest + HTTPReply.largestHead else {
                    throw HTTPReply.Malformed(reason: "it is larger than 64 MB")
                }
                if head == nil { head = try HTTPReply.Head.parse(bytes) }
                if let head, let reply = try HTTPReply.parse(bytes, head: head, atEnd: atEnd) { return reply }
                if atEnd { throw HTTPReply.Malformed(reason: bytes.isEmpty ? "it is empty" : "it is cut off") }
            } catch {
                throw .malformed(socket: socket, reason: error.reason)
            }
        }
    }

    func read<Value: Decodable>(_ type: Value.Type, from body: [UInt8]) throws(ControlError) -> Value {
        do throws(JSON.Malformed) {
            return try JSON.decode(type, from: body)
        } catch {
            throw .malformed(socket: socket, reason: error.description)
        }
    }

    private func write(_ value: some Encodable) throws(ControlError) -> [UInt8] {
        do throws(JSON.Malformed) {
            return try JSON.encode(value)
        } catch {
            throw .malformed(socket: socket, reason: error.description)
        }
    }

    /// What a refusal says: a daemon from before it was JSON says it in a line.
    static func message(of body: [UInt8]) -> String {
        do throws(JSON.Malformed) {
            return printable(try JSON.decode(Refusal.self, from: body).line[...])
        } catch {
            let text = String(decoding: body.prefix(4096), as: UTF8.self)
            return printable(text.split { $0.isNewline }.first ?? "")
        }
    }

    /// The daemon's line may be longer than what is quoted from a file.
    private static func printable(_ line: Substring) -> String {
        let scalars = line.trimmed.unicodeScalars.filter { $0.properties.generalCategory != .control }
        return String(String.UnicodeScalarView(scalars.prefix(400)))
    }
}
