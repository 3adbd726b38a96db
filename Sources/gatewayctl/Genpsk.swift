import ArgumentParser
import Control
import Keys

/// `gatewayctl genpsk`, as `wg genpsk`.
struct Genpsk: GatewayCommand {
    static let configuration = CommandConfiguration(abstract: "Prints a new preshared key, as wg genpsk does.")

    func perform() throws(Failure) { Terminal.write(PresharedKey.generate().base64 + "\n") }
}
