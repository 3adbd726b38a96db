import Addresses
import Glibc
import Keys
import Testing

@testable import Control

@Suite struct SiteFileTests {
    @Test(
        "another peer stands behind all that was there, in lines that end as the others do",
        arguments: [("\n", true), ("\n", false), ("\r\n", true), ("\r\n", false)])
    func append(lineEnd: String, endsLine: Bool) throws {
        try Folder.with { folder in
            let path = "\(folder)/hq.conf"
            let lines = [
                "# mine", "[Interface]", "PrivateKey = \(Sample.privateKey)  # secret", "", "[Peer]", "#: Name = one",
                "PublicKey = \(Sample.a)", "AllowedIPs = 10.2.0.0/24", "# the end",
            ]
            // A comment in Latin 1 stays as it is.
            let old =
                Array(lines.joined(separator: lineEnd).utf8) + [0x20, 0xe9] + Array((endsLine ? lineEnd : "").utf8)
            try TextFile.create(path, mode: 0o640, text: "")
            try TextFile.replace(path, bytes: old)
            let file = try #require(try SiteFile.find(path))
            #expect("\(try #require(file.publicKey))" == Sample.ownKey)
            try TextFile.change([try file.adding(peer("two", Sample.b, "10.3.0.0/24"))])

            let added = ["", "[Peer]", "#: Name = two", "PublicKey = \(Sample.b)", "AllowedIPs = 10.3.0.0/24", ""]
            let expected = old + Array(((endsLine ? "" : lineEnd) + added.joined(separator: lineEnd)).utf8)
            #expect(try TextFile.readBytes(path) == expected)
            #expect(Folder.mode(path) == 0o640)
            let (configuration, diagnostics) = try Configuration.load(path)
            #expect(configuration?.peers.map(\.name) == ["one", "two"])
            #expect(diagnostics == [])
        }
    }

    @Test("a peer that is there, a prefix that another has, and a file with errors change nothing")
    func refused() throws {
        try Folder.with { folder in
            let path = "\(folder)/hq.conf"
            #expect(try SiteFile.find(path) == nil)
            let text =
                "[Interface]\nPrivateKeyFile = hq.key\n[Peer]\nName = one\nPublicKey = \(Sample.a)\n"
                + "AllowedIPs = 10.2.0.0/24\n"
            try TextFile.create(path, mode: 0o600, text: text)
            let file = try #require(try SiteFile.find(path))
            #expect(file.publicKey == nil)
            func message(_ peer: Configuration.Peer) -> String {
                do throws(Failure) { _ = try file.adding(peer) } catch { return error.message }
                return ""
            }
            #expect(
                message(try peer("one", Sample.b, "10.3.0.0/24"))
                    == "\(path) has a peer one already; nothing was changed")
            #expect(
                message(try peer("two", Sample.a, "10.3.0.0/24"))
                    == "\(path) has the key of two already, at the peer one; nothing was changed")
            #expect(
                message(try peer("two", Sample.b, "10.2.0.0/24")).hasPrefix(
                    "\(path) can't have the peer two: \(path):11: error: AllowedIPs of two peers \"10.2.0.0/24\": line 6"
                ))
            #expect(try TextFile.read(path) == text)

            try TextFile.replace(path, text: text + "Foo = 1\n")
            #expect(throws: Failure.self) { try SiteFile.find(path) }
        }
    }
}

private func peer(_ name: String, _ key: String, _ prefix: String) throws -> Configuration.Peer {
    var peer = Configuration.Peer(publicKey: try #require(PublicKey(key)))
    peer.name = name
    peer.allowedIPs = [try #require(Prefix(prefix))]
    return peer
}
