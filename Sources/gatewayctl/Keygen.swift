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

    /// Makes both files, or neither.
    static func make(_ name: InterfaceName, in folder: String) throws(Failure) -> KeyPair {
        let key = PrivateKey.generate()
        let publicKey = key.publicKey
        try reporting { () throws(FileFailure) in
            try TextFile.makePrivateFolder(folder)
            // The public half first: it may be lost, while a private key without it would look like a finished pair.
            try TextFile.create(publicPath(name, in: folder), mode: 0o644, text: "\(publicKey)\n")
            do throws(FileFailure) {
                try TextFile.create(keyPath(name, in: folder), mode: 0o600, text: key.base64 + "\n")
            } catch {
                TextFile.remove(publicPath(name, in: folder))
                throw error
            }
        }
        return KeyPair(publicKey: publicKey, privateKey: key)
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
}
