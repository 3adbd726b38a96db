import ArgumentParser
import Control
import Keys

/// `gatewayctl genkey`, as `wg genkey`.
struct Genkey: GatewayCommand {
    static let configuration = CommandConfiguration(abstract: "Prints a new private key, as wg genkey does.")

    func perform() throws(Failure) { Terminal.write(PrivateKey.generate().base64 + "\n") }
}
