import Addresses
import Control
import Keys
import Testing

@Suite struct UAPIParserTests {
    private static let key = String(repeating: "ab", count: 32)

    @Test("a request is over with its empty line, and several follow each other")
    func several() {
        let outcomes = outcomes("get=1\n\n\nset=1\n\nget=1\n\n")
        #expect(outcomes.map(\.summary) == ["get", "set []", "get"])
    }

    @Test("every key of the specification is understood")
    func complete() {
        let text = """
            set=1
            private_key=\(Self.key)
            listen_port=51820
            fwmark=4294967295
            replace_peers=true
            public_key=\(Self.key.uppercased())
            update_only=true
            preshared_key=\(Self.key)
            endpoint=[2001:db8::1]:1
            persistent_keepalive_interval=65535
            replace_allowed_ips=true
            allowed_ip=10.1.2.3/8
            allowed_ip=-fd00::/8
            protocol_version=1
            public_key=\(Self.key)
            remove=true
            """
        #expect(
            outcomes(text + "\n\n").map(\.summary) == [
                "set [privateKey, listenPort 51820, fwmark 4294967295, replacePeers, peer, updateOnly, presharedKey, "
                    + "endpoint [2001:db8::1]:1, keepalive 65535, replaceAllowedIPs, allow 10.0.0.0/8, "
                    + "disallow fd00::/8, peer, remove]"
            ])
    }

    @Test("keys of zeros mean none")
    func zeros() {
        let zeros = String(repeating: "0", count: 64)
        let text = "set=1\nprivate_key=\(zeros)\npublic_key=\(Self.key)\npreshared_key=\(zeros)\n\n"
        #expect(outcomes(text).map(\.summary) == ["set [no privateKey, peer, no presharedKey]"])
    }

    @Test(
        "a value that a key can't have is invalid",
        arguments: [
            "private_key=00", "private_key=\(Self.key)00", "private_key=", "listen_port=65536", "listen_port=+1",
            "listen_port=-1", "listen_port=", "listen_port=0x10", "listen_port=1 ", "fwmark=4294967296",
            "replace_peers=1", "replace_peers=TRUE", "public_key=xyz", "unknown=1", "=", "=1",
            // What belongs to a peer can't stand before one.
            "allowed_ip=10.0.0.0/8", "endpoint=1.2.3.4:5", "remove=true", "preshared_key=\(Self.key)",
        ])
    func invalidInterface(line: String) {
        #expect(outcomes("set=1\n\(line)\n\n").map(\.summary) == ["errno -22"])
    }

    @Test(
        "a value that a peer's key can't have is invalid",
        arguments: [
            "preshared_key=1", "endpoint=", "endpoint=1.2.3.4", "endpoint=1.2.3.4:65536", "endpoint=host:1",
            "endpoint=2001:db8::1:5", "endpoint=[fe80::1%nosuchlink]:5", "endpoint=[1.2.3.4%lo]:5", "endpoint=%]",
            "persistent_keepalive_interval=65536", "persistent_keepalive_interval=off", "allowed_ip=10.0.0.0",
            "allowed_ip=10.0.0.0/", "allowed_ip=10.0.0.0/33", "allowed_ip=::/129", "allowed_ip=/8", "allowed_ip=-",
            "allowed_ip=--10.0.0.0/8", "allowed_ip=10.0.0.0/-1", "replace_allowed_ips=", "remove=false",
            "update_only=yes", "protocol_version=2", "listen_port=1", "private_key=\(Self.key)",
            "gateway_compression=zip", "gateway_cipher=none", "gateway_plain_tx_bytes=1",
        ])
    func invalidPeer(line: String) {
        #expect(outcomes("set=1\npublic_key=\(Self.key)\n\(line)\n\n").map(\.summary) == ["errno -22"])
    }

    @Test("a line without = and an operation that does not exist violate the protocol")
    func violations() {
        #expect(outcomes("set=1\nnonsense\n\n").map(\.summary) == ["errno -71"])
        #expect(outcomes("put=1\n\n").map(\.summary) == ["errno -71"])
        #expect(outcomes("get=2\nset=1\n\n").map(\.summary) == ["errno -71"])
        #expect(outcomes("get=1\nset=1\n\n").map(\.summary) == ["errno -22"])
        #expect(outcomes("set=1\nlisten_port=\u{fffd}\n\n").map(\.summary) == ["errno -22"])
    }

    @Test("after a request with an error the next one is understood, and the first error is the one that counts")
    func recovers() {
        let outcomes = outcomes("set=1\nlisten_port=x\nnonsense\npublic_key=\(Self.key)\n\nget=1\n\n")
        #expect(outcomes.map(\.summary) == ["errno -22", "get"])
    }

    @Test("a request that stops in the middle has no outcome, wherever it stops")
    func cutOff() {
        let text = "set=1\nlisten_port=5\npublic_key=\(Self.key)\nallowed_ip=10.0.0.0/8\n\n"
        for length in 0..<text.utf8.count {
            var parser = UAPIParser()
            #expect(throws: Never.self) { try feed(String(text.utf8.prefix(length)) ?? "", to: &parser).isEmpty }
            #expect(parser.isIdle == (length < 6))
        }
    }

    @Test("a line of 64 KB is read, a longer one is refused at once")
    func longLine() {
        var parser = UAPIParser()
        #expect(throws: Never.self) { try parser.take([UInt8](repeating: 0x61, count: UAPIParser.longestLine)) }
        #expect(throws: UAPIError.inputOutput) {
            try parser.take([UInt8](repeating: 0x61, count: UAPIParser.longestLine + 1))
        }
    }

    @Test("a request over 64 MB is refused")
    func longRequest() {
        var parser = UAPIParser()
        let line = [UInt8](repeating: 0x61, count: UAPIParser.longestLine)
        #expect(throws: UAPIError.inputOutput) { for _ in 0...1024 { _ = try parser.take(line) } }
    }

    private func outcomes(_ text: String) -> [UAPIParser.Outcome] {
        var parser = UAPIParser()
        return (try? feed(text, to: &parser)) ?? []
    }

    private func feed(_ text: String, to parser: inout UAPIParser) throws(UAPIError) -> [UAPIParser.Outcome] {
        var outcomes: [UAPIParser.Outcome] = []
        for line in Array(text.utf8).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast() {
            if let outcome = try parser.take(line) { outcomes.append(outcome) }
        }
        return outcomes
    }
}

extension UAPIParser.Outcome {
    /// What a test compares; keys are only named.
    fileprivate var summary: String {
        switch self {
        case .request(.get): "get"
        case .request(.set(let changes)): "set [\(changes.map(\.summary).joined(separator: ", "))]"
        case .refused(let error): "errno \(error.rawValue)"
        }
    }
}

extension UAPIChange {
    fileprivate var summary: String {
        switch self {
        case .privateKey(let key): key == nil ? "no privateKey" : "privateKey"
        case .listenPort(let port): "listenPort \(port)"
        case .fwmark(let mark): "fwmark \(mark)"
        case .replacePeers: "replacePeers"
        case .peer: "peer"
        case .updateOnly: "updateOnly"
        case .remove: "remove"
        case .presharedKey(let key): key == nil ? "no presharedKey" : "presharedKey"
        case .endpoint(let endpoint): "endpoint \(endpoint)"
        case .persistentKeepalive(let seconds): "keepalive \(seconds)"
        case .replaceAllowedIPs: "replaceAllowedIPs"
        case .allow(let prefix): "allow \(prefix)"
        case .disallow(let prefix): "disallow \(prefix)"
        case .compression(let mode): "compression \(mode)"
        case .cipher(let cipher): "cipher \(cipher)"
        }
    }
}
