import ArgumentParser
import Control
import Keys

/// `gatewayctl pubkey`, as `wg pubkey`.
struct Pubkey: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads a private key from standard input and prints its public key, as wg pubkey does.")

    func perform() throws(Failure) { Terminal.write("\(try KeyInput.privateKey(in: "-").publicKey)\n") }
}
