import ArgumentParser
import Control
import Keys

/// `gatewayctl keygen`: a site's key pair as two files.
struct Keygen: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a key pair, NAME.key and NAME.pub, and prints the public key.",
        discussion: "NAME.key is readable by its owner alone and stays on its machine. Nothing is ever overwritten.")

    @Argument(help: "The site's name; its config file and interface will be called the same.")
    var name: InterfaceName

    @Option(help: "The folder for both files.", completion: .directory)
    var dir = "keys"

    func perform() throws(Failure) { Terminal.write("\(try KeyPair.make(name, in: dir).publicKey)\n") }
}

/// The key files of a site: `NAME.key` and `NAME.pub`.
struct KeyPair {
    let publicKey: PublicKey
    /// `nil` if only the public half is here.
    let privateKey: PrivateKey?

    static func keyPath(_ name: InterfaceName, in folder: String) -> String { "\(folder)/\(name).key" }
    static func publicPath(_ name: InterfaceName, in folder: String) -> String { "\(folder)/\(name).pub" }

    static func generate() -> KeyPair {
        let key = PrivateKey.generate()
        return KeyPair(publicKey: key.publicKey, privateKey: key)
    }

    /// What makes its files. The public half comes first: it may be lost, while a private key without it would look like a
    /// finished pair.
    func creation(of name: InterfaceName, in folder: String) -> [FileChange] {
        var changes = [FileChange.create(Self.publicPath(name, in: folder), mode: 0o644, text: "\(publicKey)\n")]
        if let privateKey {
            changes.append(
                .create(Self.keyPath(name, in: folder), mode: 0o600, text: privateKey.base64 + "\n"))
        }
        return changes
    }

    /// Makes both files, or neither.
    static func make(_ name: InterfaceName, in folder: String) throws(Failure) -> KeyPair {
        let pair = generate()
        try reporting { () throws(FileFailure) in
            try TextFile.makePrivateFolder(folder)
            try TextFile.change(pair.creation(of: name, in: folder))
        }
        return pair
    }

    /// What is there of a site's files; `nil` if nothing is.
    static func find(_ name: InterfaceName, in folder: String) throws(Failure) -> KeyPair? {
        let keyFile = keyPath(name, in: folder)
        let publicFile = publicPath(name, in: folder)
        let written = TextFile.exists(publicFile) ? try KeyInput.publicKey(in: publicFile) : nil
        guard TextFile.exists(keyFile) else { return written.map { KeyPair(publicKey: $0, privateKey: nil) } }
        let key = try KeyInput.privateKey(in: keyFile)
        guard written == nil || written == key.publicKey else {
            throw Failure(
                .data, "\(publicFile) is not the public key of \(keyFile): remove the one that is wrong")
        }
        return KeyPair(publicKey: key.publicKey, privateKey: key)
    }

    /// The public key of a site whose config file is here: its own, and if that is elsewhere the one of its key files.
    static func of(_ file: SiteFile, _ found: KeyPair?) throws(Failure) -> KeyPair {
        let own = file.publicKey
        guard let key = own ?? found?.publicKey else {
            let name = file.configuration.interface.name
            throw Failure(.missingInput, "the private key of \(file.path) isn't here: put \(name).pub beside it")
        }
        guard found == nil || found?.publicKey == key else {
            throw Failure(.data, "\(file.path) has another key than the files beside it: remove what is wrong")
        }
        return KeyPair(publicKey: key, privateKey: nil)
    }

    /// What the person does with a file that got another peer.
    static func reload(_ file: SiteFile, _ peer: InterfaceName) -> String {
        let name = file.configuration.interface.name
        let before = file.configuration.interface.savesConfiguration ? ", before it ends (SaveConfig)" : ""
        return "\(file.path): has the peer \(peer) now; if \(name) runs, reload it\(before): "
            + "systemctl reload gateway@\(name)\n"
    }
}
