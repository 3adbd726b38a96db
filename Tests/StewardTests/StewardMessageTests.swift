import Addresses
import Control
import Keys
import Testing

@testable import Steward

/// What goes between the daemon and its steward.
@Suite("The steward's messages")
struct StewardMessageTests {
    static let key = PrivateKey.generate()
    static let requests: [StewardRequest] = [
        .runHooks(.preUp), .runHooks(.failure), .interruptHooks,
        .readConfiguration, .adoptConfiguration, .setNameServers, .storeKey(key), .storeNextKey(key),
        .storeNextKey(nil),
        .saveConfiguration([
            SavedPeer(key.publicKey, endpoint: Endpoint("192.0.2.1:51820"), presharedKey: PresharedKey.generate()),
            SavedPeer(PrivateKey.generate().publicKey, endpoint: Endpoint("[2001:db8::1]:7"), presharedKey: nil),
            SavedPeer(PrivateKey.generate().publicKey, endpoint: nil, presharedKey: nil),
        ]),
        PeerEdit(.put, "far", [PeerEdit.Value(key: "AllowedIPs", text: "10.2.0.0/24")]).map { .editPeer($0) }
            ?? .sweepFirewall,
        .takeBackEdit,
        HostAndPort("gateway.example:51820").map { .resolve($0) } ?? .sweepFirewall,
        .makeFirewall(
            FirewallRules([.v4, .v6], mark: 51820, addresses: [.v4(0x0a09_0001), .v6(0xfd09 << 112 | 1)])),
        .removeFirewall([.v6]), .sweepFirewall, .acceptMarkedReplies, .listen(.control), .removeSocket(.uapi),
        .watchSocket(.control), .isSocketGone(.uapi), .openNetlink, .releaseOutput,
        .beginSuccessor, .endSuccessor, .makeMemory(5 << 20, isSecret: true), .makeMemory(1 << 31, isSecret: false),
    ]
    static let replies: [StewardReply] = [
        .done, .answer(true), .answer(false), .refused, .failed("listen on /run/x", 98), .hooksEnded(nil),
        .hooksEnded("PostUp failed"),
        .fileFailed(FileFailure("read", path: "/etc/x", code: 13)), .noAddress("no address"),
        .files([
            FileRecord("/etc/x", .content("[Interface]\n")), FileRecord("/etc/y", .failure(2)),
            FileRecord("/etc/x", .isReadableByOthers(true)), FileRecord("/etc/x", .isReadableByOthers(nil)),
        ]),
        .endpoint(Endpoint(.v6(1), port: 7, scope: 3)), .program(.missing), .program(.ended(1, said: "no")),
        .noSuccessor("it is no program"),
    ]
    static let words: [SuccessionMessage] = [
        .prepared(version: "0.1.0", process: 77), .ready, .running, .refused(65, "it is damaged"), .ended(0),
        .descriptor(.memory), .descriptor(.device), .handedOver, .go(stays: true), .go(stays: false), .abort,
        .signal(15),
    ]

    @Test("Every request arrives as it was sent", arguments: requests.indices)
    func requestsArrive(_ index: Int) throws {
        let bytes = Self.requests[index].bytes
        #expect(try StewardRequest(bytes).bytes == bytes)
    }

    @Test("Every reply arrives as it was sent", arguments: replies.indices)
    func repliesArrive(_ index: Int) throws {
        let bytes = Self.replies[index].bytes
        #expect(try StewardReply(bytes).bytes == bytes)
    }

    @Test("Every word of an upgrade arrives as it was sent, and what is cut off does not", arguments: words)
    func wordsArrive(_ word: SuccessionMessage) {
        #expect(SuccessionMessage(word.bytes) == word)
        for length in word.bytes.indices { #expect(SuccessionMessage(Array(word.bytes[..<length])) == nil) }
        #expect(SuccessionMessage(word.bytes + [0]) == nil)
    }

    @Test("No more memory is asked for than a state can take")
    func memoryIsBounded() {
        #expect((try? StewardRequest(StewardRequest.makeMemory(1 << 40, isSecret: true).bytes)) == nil)
    }

    @Test("What is cut off or has something behind it is refused")
    func cutMessagesAreRefused() {
        for bytes in Self.requests.map(\.bytes) {
            for length in bytes.indices { #expect((try? StewardRequest(Array(bytes[..<length]))) == nil) }
            #expect((try? StewardRequest(bytes + [0])) == nil)
        }
        for bytes in Self.replies.map(\.bytes) {
            for length in bytes.indices { #expect((try? StewardReply(Array(bytes[..<length]))) == nil) }
            #expect((try? StewardReply(bytes + [0])) == nil)
        }
    }

    @Test("A list that says it is longer than the message takes no memory")
    func lengthsAreBounded() {
        for kind in [UInt8(12), 20, 30, 31] {
            #expect((try? StewardRequest([kind, 0xff, 0xff, 0xff, 0xff])) == nil)
        }
        for kind in [UInt8(4), 6, 7, 9] { #expect((try? StewardReply([kind, 0xff, 0xff, 0xff, 0x7f, 0, 0])) == nil) }
    }

    @Test("Any bytes are a message or refused")
    func anyBytesAreHandled() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                UInt8.random(in: 0...(Bool.random() ? 48 : 255), using: &generator)
            }
            _ = try? StewardRequest(bytes)
            _ = try? StewardReply(bytes)
        }
    }

    @Test("The files that a configuration was read from give the same configuration elsewhere")
    func recordsStandForTheFiles() throws {
        let folder = "/tmp/steward-\(UInt64.random(in: .min ... .max))"
        try TextFile.makePrivateFolder(folder)
        let secret = PrivateKey.generate()
        try TextFile.create("\(folder)/t0.key", mode: 0o644, text: secret.base64 + "\n")
        try TextFile.create(
            "\(folder)/t0.conf", mode: 0o600, text: "[Interface]\n#: PrivateKeyFile = t0.key\nListenPort = 7\n")
        defer { for file in ["t0.key", "t0.conf"] { TextFile.remove("\(folder)/\(file)") } }
        let disk = RecordingDisk()
        let read = try Configuration.load("\(folder)/t0.conf", from: disk)
        let (key, warnings) = try #require(read.0).loadPrivateKey(from: disk)
        guard case .files(let records) = try StewardReply(StewardReply.files(disk.records).bytes) else {
            throw MessageReader.Malformed()
        }
        let files = RecordedFiles(records)
        let again = try Configuration.load("\(folder)/t0.conf", from: files)
        let (sameKey, sameWarnings) = try #require(again.0).loadPrivateKey(from: files)
        #expect(sameKey?.publicKey == secret.publicKey && key?.publicKey == secret.publicKey)
        #expect(again.0?.interface.listenPort == 7)
        #expect(warnings.map { "\($0)" } == sameWarnings.map { "\($0)" } && !warnings.isEmpty)
        #expect(throws: FileFailure.self) { try files.read("/etc/shadow") }
    }
}
