import Glibc
import Keys
import Testing

@testable import Control

@Suite struct ConfigurationFileTests {
    @Test("another private key replaces the line alone, and the file keeps its mode")
    func storeInline() throws {
        try Folder.with { folder in
            let path = "\(folder)/branch.conf"
            let text =
                "# mine\r\n[Interface]\r\n  #: privatekey=\(Sample.privateKey)   # old\r\nMTU = 1400\n\n"
                + "[Peer]\nPublicKey = \(Sample.a)\n"
            try TextFile.create(path, mode: 0o640, text: text)
            let configuration = try #require(try Configuration.load(path).0)
            let key = PrivateKey.generate()
            try configuration.storePrivateKey(key)
            let written = try TextFile.read(path)
            #expect(written == text.replacing(Sample.privateKey, with: key.base64))
            #expect(Folder.mode(path) == 0o640)
            #expect(Folder.files(folder) == ["branch.conf"])
            #expect(try Configuration.load(path).0?.loadPrivateKey().0?.publicKey == key.publicKey)
        }
    }

    @Test("a key file beside the config is found, read and replaced")
    func storeInFile() throws {
        try Folder.with { folder in
            let path = "\(folder)/branch.conf"
            try TextFile.create(path, mode: 0o644, text: "[Interface]\n#: PrivateKeyFile = branch.key\n")
            let configuration = try #require(try Configuration.load(path).0)
            #expect(configuration.keyPath == "\(folder)/branch.key")
            let (missing, errors) = configuration.loadPrivateKey()
            #expect(missing == nil)
            #expect(
                errors.map(\.description) == [
                    "\(path): error: PrivateKeyFile can't be read \"\(folder)/branch.key\": "
                        + "No such file or directory; \"gatewayctl keygen\" makes one"
                ])

            try TextFile.create("\(folder)/branch.key", mode: 0o600, text: Sample.privateKey + "\n")
            let (found, diagnostics) = configuration.loadPrivateKey()
            #expect(found?.base64 == Sample.privateKey)
            #expect(diagnostics == [])

            let key = PrivateKey.generate()
            try configuration.storePrivateKey(key)
            #expect(configuration.loadPrivateKey().0?.publicKey == key.publicKey)
            let written = try TextFile.read("\(folder)/branch.key")
            #expect(written == key.base64 + "\n")
            #expect(Folder.mode("\(folder)/branch.key") == 0o600)
        }
    }

    @Test("with the key in the config file, its own NAME.key and NAME.pub follow, and somebody else's don't")
    func storeBeside() throws {
        try Folder.with { folder in
            let path = "\(folder)/branch.conf"
            try TextFile.create(path, mode: 0o600, text: "[Interface]\nPrivateKey = \(Sample.privateKey)\n")
            try TextFile.create("\(folder)/branch.key", mode: 0o600, text: Sample.privateKey + "\n")
            try TextFile.create("\(folder)/branch.pub", mode: 0o644, text: Sample.ownKey + "\n")
            let key = PrivateKey.generate()
            var configuration = try #require(try Configuration.load(path).0)
            try configuration.storePrivateKey(key)
            #expect(try TextFile.read(path) == "[Interface]\nPrivateKey = \(key.base64)\n")
            #expect(try TextFile.read("\(folder)/branch.key") == key.base64 + "\n")
            #expect(try TextFile.read("\(folder)/branch.pub") == "\(key.publicKey)\n")
            #expect(Folder.mode("\(folder)/branch.key") == 0o600)
            #expect(Folder.mode("\(folder)/branch.pub") == 0o644)

            // The key that the daemon has is another one now, and not that of these files.
            configuration.interface.privateKey = .inline(PrivateKey.generate())
            try configuration.storePrivateKey(PrivateKey.generate())
            #expect(try TextFile.read("\(folder)/branch.key") == key.base64 + "\n")
            #expect(try TextFile.read("\(folder)/branch.pub") == "\(key.publicKey)\n")
        }
    }

    @Test("several files change together or not at all, and what is appended to keeps every byte")
    func changes() throws {
        try Folder.with { folder in
            let old = "\(folder)/old"
            let new = "\(folder)/new"
            try TextFile.create(old, mode: 0o640, text: "1")
            #expect(throws: FileFailure("create", path: old, code: EEXIST)) {
                try TextFile.change([
                    .create(new, mode: 0o600, text: "n"), .append(old, text: "2"), .replace(old, text: "3"),
                    .create(old, mode: 0o600, text: "4"),
                ])
            }
            #expect(Folder.files(folder) == ["old"])
            #expect(try TextFile.read(old) == "1")

            // Latin 1, which is no UTF-8.
            try TextFile.replace(old, bytes: [0xe9])
            try TextFile.change([.append(old, text: "2"), .create(new, mode: 0o600, text: "n")])
            #expect(try TextFile.readBytes(old) == [0xe9, UInt8(ascii: "2")])
            #expect(Folder.mode(old) == 0o640)
            #expect(Folder.files(folder) == ["new", "old"])
        }
    }

    @Test("a public key in the place of the private one is an error where that is certain, else a warning")
    func publicKeyAsPrivate() throws {
        try Folder.with { folder in
            let path = "\(folder)/branch.conf"
            let key = "\(folder)/branch.key"
            func diagnose(_ file: String, peer: String = Sample.b) throws -> (isUsable: Bool, [String]) {
                try? TextFile.change([.create(path, mode: 0o600, text: "")])
                try TextFile.replace(
                    path, text: "[Interface]\nPrivateKeyFile = \(file)\n[Peer]\nPublicKey = \(peer)\n")
                let (key, diagnostics) = try #require(try Configuration.load(path).0).loadPrivateKey()
                return (key != nil, diagnostics.map(\.description))
            }
            func error(_ file: String) -> String {
                "\(folder)/\(file): error: file holds a public key: "
                    + "let PrivateKeyFile name the private one, as \"gatewayctl keygen\" writes it into NAME.key"
            }
            try TextFile.create(key, mode: 0o600, text: "\u{FEFF}\(Sample.a)\r\n")
            #expect(
                try diagnose("branch.key") == (
                    true,
                    [
                        "\(key): warning: private key is none that wg genkey makes: "
                            + "make sure that it is not a public key; \"gatewayctl genkey\" makes a private one"
                    ]
                ))
            #expect(try diagnose("branch.key", peer: Sample.a) == (false, [error("branch.key")]))
            try TextFile.create("\(folder)/branch.pub", mode: 0o600, text: "\(Sample.a)\n")
            #expect(try diagnose("branch.key") == (false, [error("branch.key")]))
            #expect(try diagnose("branch.pub") == (false, [error("branch.pub")]))
            try TextFile.replace(key, text: "\u{FEFF}\(Sample.privateKey)\r\n")
            #expect(try diagnose("branch.key") == (true, []))
        }
    }

    @Test("a reload that needs a restart names the keys that changed, and no others")
    func keysForRestart() throws {
        func interface(_ lines: String) throws -> Configuration.Interface {
            try #require(parse("[Interface]\nPrivateKey = \(Sample.privateKey)\n\(lines)").0).interface
        }
        let old = try interface("Address = 10.0.0.1/24\nMTU = 1400\nPostUp = a\n")
        #expect(try interface("Address = 10.0.0.1/24\nMTU = 1400\nPostUp = a\n").keysForRestart(since: old) == [])
        #expect(
            try interface("Address = 10.0.0.1/24\nPostUp = b\nSaveConfig = true\nDNS = x\n").keysForRestart(since: old)
                == ["PostUp"])
    }

    @Test(
        "the difference between two files names every key with both values, secrets and commands without, and every peer"
    )
    func difference() throws {
        func configuration(_ lines: String) throws -> Configuration {
            try #require(parse("[Interface]\nPrivateKey = \(Sample.privateKey)\n\(lines)").0)
        }
        let peer = "[Peer]\nPublicKey = \(Sample.a)\n"
        let old = try configuration("Address = 10.0.0.1/24\nMTU = 1400\nPostDown = a\n\(peer)#: Name = far\n")
        #expect(
            try configuration("Address = 10.0.0.1/24\nMTU = 1400\nPostDown = a\n\(peer)#: Name = far\n")
                .changedKeys(since: old).isEmpty)
        let new = try configuration(
            "Address = 10.0.0.1/24, fd00::1/64\nListenPort = 7\nPostDown = b\n\(peer)AllowedIPs = 10.9.0.0/16\n#: Name = far\n"
        )
        #expect(
            new.changedKeys(since: old).map(\.text) == [
                "ListenPort (default) → 7", "Address 10.0.0.1/24 → 10.0.0.1/24, fd00::1/64", "MTU 1400 → (default)",
                "PostDown",
            ])
        #expect(new.changedPeers(since: old).map(\.text) == ["peer far: AllowedIPs"])
        #expect(try configuration("").changedPeers(since: old).map(\.text) == ["peer far: removed"])
        #expect(try old.changedPeers(since: configuration("")).map(\.text) == ["peer far: new"])
    }

    @Test("a secret that others may read is a warning for each file")
    func permissions() throws {
        try Folder.with { folder in
            let path = "\(folder)/branch.conf"
            let peer = "[Peer]\nPublicKey = \(Sample.ownKey)\nPresharedKey = \(Sample.presharedKey)\n"
            try TextFile.create(path, mode: 0o640, text: "[Interface]\nPrivateKeyFile = k\n\(peer)")
            try TextFile.create("\(folder)/k", mode: 0o604, text: Sample.privateKey)
            let configuration = try #require(try Configuration.load(path).0)
            #expect(
                configuration.loadPrivateKey().1.map(\.description) == [
                    "\(path): warning: file holds a secret and others may read it: chmod 600 \(path)",
                    "\(folder)/k: warning: file holds a secret and others may read it: chmod 600 \(folder)/k",
                    "\(path): warning: PublicKey is this end's own: "
                        + "write the other end's key; this peer will never answer",
                ])
        }
    }

    @Test("a key file with something else inside is an error that doesn't show it")
    func noKey() throws {
        try Folder.with { folder in
            try TextFile.create("\(folder)/a.conf", mode: 0o600, text: "[Interface]\nPrivateKeyFile = k\n")
            try TextFile.create("\(folder)/k", mode: 0o600, text: "hunter2\n")
            let (key, diagnostics) = try #require(try Configuration.load("\(folder)/a.conf").0).loadPrivateKey()
            #expect(key == nil)
            #expect(
                diagnostics.map(\.description) == [
                    "\(folder)/k: error: file holds no private key: "
                        + "write 44 characters of base64, as \"gatewayctl genkey\" prints them"
                ])
        }
    }

    @Test("a file that exists is not made again, and a symbolic link is followed when it is replaced")
    func files() throws {
        try Folder.with { folder in
            let path = "\(folder)/x"
            try TextFile.create(path, mode: 0o600, text: "1")
            #expect(throws: FileFailure("create", path: path, code: EEXIST)) {
                try TextFile.create(path, mode: 0o600, text: "2")
            }
            #expect(unsafe symlink("x", "\(folder)/link") == 0)
            try TextFile.replace("\(folder)/link", text: "3")
            #expect(try TextFile.read(path) == "3")
            #expect(Folder.files(folder) == ["link", "x"])
            #expect(throws: FileFailure("read", path: "\(folder)/no", code: ENOENT)) {
                try TextFile.read("\(folder)/no")
            }
            #expect(FileFailure("read", path: "no", code: ENOENT).exitStatus == .missingInput)
            #expect(FileFailure("create", path: "no", code: EEXIST).exitStatus == .cantCreate)
        }
    }
}

/// A folder for one test.
enum Folder {
    static func with(_ body: (String) throws -> Void) throws {
        let path = "/tmp/control-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        try TextFile.makePrivateFolder(path)
        defer {
            for file in files(path) { TextFile.remove("\(path)/\(file)") }
            unsafe rmdir(path)
        }
        try body(path)
    }

    static func mode(_ path: String) -> UInt32 {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    static func files(_ path: String) -> [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
