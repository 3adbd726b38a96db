import Control
import Keys
import Testing

@Suite struct ControlClientTests {
    @Test("statistics arrive, however the reply is framed", arguments: ["length", "chunked", "end of stream"])
    func statistics(framing: String) throws {
        let body = Sample.statisticsText
        let reply =
            switch framing {
            case "length": "HTTP/1.1 200 OK\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)and more"
            case "chunked":
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\n\(body.prefix(5))\r\n"
                    + "\(String(body.utf8.count - 5, radix: 16))\r\n\(body.dropFirst(5))\r\n0\r\n\r\n"
            default: "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n\(body)"
            }
        try SocketServer.with(reply: reply) { server in
            let statistics = try server.client.statistics()
            #expect(statistics == Sample.statistics)
            let request = server.request
            #expect(request.hasPrefix("GET /v1/stats HTTP/1.1\r\n"))
            #expect(request.contains("\r\nConnection: close\r\n"))
        }
    }

    @Test("a private key goes in the body, and the public key comes back")
    func setPrivateKey() throws {
        let body = #"{"publicKey":"\#(Sample.ownKey)"}"#
        try SocketServer.with(reply: "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)") { server in
            let key = try #require(PrivateKey(base64: Sample.privateKey))
            #expect(try server.client.setPrivateKey(key) == Sample.ownKey)
            #expect(server.request.hasPrefix("PUT /v1/key HTTP/1.1\r\n"))
            #expect(server.request.hasSuffix("\r\n\r\n" + #"{"privateKey":"\#(Sample.privateKey)"}"#))
        }
    }

    @Test("a preshared key names its peer, and an empty reply is success")
    func setPresharedKey() throws {
        try SocketServer.with(reply: "HTTP/1.1 204 No Content\r\n\r\n") { server in
            let key = try #require(PresharedKey(base64: Sample.presharedKey))
            try server.client.setPresharedKey(key, ofPeer: "hq")
            #expect(server.request.hasSuffix(#"{"peer":"hq","presharedKey":"\#(Sample.presharedKey)"}"#))
        }
    }

    @Test("what the daemon refuses is told in its words, in one line, without control codes")
    func refused() throws {
        let reply = "HTTP/1.1 404 Not Found\r\nContent-Length: 30\r\n\r\nno peer \u{1b}\"x\"; see gatewayctl\nx"
        try SocketServer.with(reply: reply) { server in
            let error = failure(server.client)
            #expect(error == .refused(status: 404, message: "no peer \"x\"; see gatewayctl"))
            #expect(error?.exitStatus == .data)
        }
        try SocketServer.with(reply: "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") { server in
            #expect(failure(server.client)?.exitStatus == .permission)
        }
    }

    @Test(
        "a reply that can't be read says why",
        arguments: [
            ("", "it is empty"), ("SSH-2.0-x\r\n", "no HTTP"), ("HTTP/1.1 200 OK\r\nA: b\r\n", "it is cut off"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "it is cut off"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n", "a body of 67108865 bytes"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "a body of -1 bytes"),
            ("HTTP/1.1 200 OK\r\nbad\r\n\r\n", "a header without a colon"),
            ("HTTP/2 200\r\n\r\n", "no HTTP/1"), ("HTTP/1.1 abc\r\n\r\n", "no HTTP status"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "an unknown transfer encoding"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "it is cut off"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nab\r\n", "a chunk without a size"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab\r\n",
                "a chunk without a size"
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nnothing", "no JSON"),
            ("\u{b}HTTP/1.1 200 OK\r\n\r\nnothing", "no HTTP"),
            ("HTTP/1.1 200 OK\r\nA: a line feed alone\u{b}ends a line\r\n\r\nnothing", "no JSON"),
            ("HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 20000), "headers without an end"),
        ])
    func malformed(reply: String, reason: String) throws {
        try SocketServer.with(reply: reply) { server in
            guard case .malformed(_, let said) = failure(server.client) else { Issue.record("no error"); return }
            #expect(said == reason)
        }
    }

    @Test("a reply without an end is given up at 64 MB")
    func oversized() throws {
        try SocketServer.with(reply: "HTTP/1.1 200 OK\r\n\r\n", flood: 80 << 20) { server in
            guard case .malformed(_, let said) = failure(server.client) else { Issue.record("no error"); return }
            #expect(said == "it is larger than 64 MB")
        }
    }

    @Test("a daemon that doesn't answer is given up")
    func silent() throws {
        try SocketServer.with(reply: nil) { server in
            let client = ControlClient(interface: server.name, in: server.directory, patience: .milliseconds(50))
            #expect(failure(client) == .timeout(socket: "\(server.directory.path)/branch.sock"))
        }
    }

    @Test("no socket, and a socket that nobody serves, are both no daemon")
    func notRunning() throws {
        let name = try #require(InterfaceName("branch"))
        try Folder.with { folder in
            let error = failure(ControlClient(interface: name, in: RunDirectory(folder)))
            #expect(
                error?.description == "no gateway named \"branch\" is running (\(folder)/branch.sock); "
                    + "start it with: gateway run --config branch.conf")
            #expect(error?.exitStatus == .unavailable)
            #expect(RunDirectory(folder).running() == [])
        }
        try SocketServer.with(reply: nil) { server in
            server.stop()
            #expect(failure(server.client)?.exitStatus == .unavailable)
            #expect(server.directory.running() == [])
        }
        let long = ControlClient(interface: name, in: RunDirectory("/tmp/" + String(repeating: "x", count: 200)))
        #expect(failure(long)?.exitStatus == .inputOutput)
    }

    @Test("the interfaces that run are the sockets that answer")
    func running() throws {
        try SocketServer.with(reply: nil) { server in
            try TextFile.create("\(server.directory.path)/notes.txt", mode: 0o600, text: "")
            try TextFile.create("\(server.directory.path)/file.sock", mode: 0o600, text: "")
            #expect(server.directory.running() == [server.name])
        }
    }

    private func failure(_ client: ControlClient) -> ControlError? {
        do throws(ControlError) {
            _ = try client.statistics()
            return nil
        } catch {
            return error
        }
    }
}
