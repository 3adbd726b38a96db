public import Addresses
public import ArgumentParser
public import Control
import Keys

// The project's values as arguments: what doesn't parse is a usage error.
extension HostAndPort: ExpressibleByArgument {}
extension InterfaceName: ExpressibleByArgument {
    /// Shell completion offers what runs.
    public static var defaultCompletionKind: CompletionKind {
        .custom { _, _, _ in RunDirectory.current.running().map(\.description) }
    }
}

/// One or several prefixes between commas.
struct PrefixList: ExpressibleByArgument {
    let prefixes: [Prefix]

    init?(argument: String) {
        var prefixes: [Prefix] = []
        for item in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let prefix = Prefix(item.filter { !$0.isWhitespace }) else { return nil }
            prefixes.append(prefix)
        }
        self.prefixes = prefixes
    }
}

/// One or several addresses between commas, each with the length of its network or bare.
struct AddressList: ExpressibleByArgument {
    let addresses: [InterfaceAddress]

    init?(argument: String) {
        var addresses: [InterfaceAddress] = []
        for item in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let address = InterfaceAddress(item.filter { !$0.isWhitespace }) else { return nil }
            addresses.append(address)
        }
        self.addresses = addresses
    }
}

/// Which running gateway a command means.
enum RunningGateway {
    /// The named one, or the only one.
    static func client(_ name: InterfaceName?, patience: Duration = .seconds(10)) throws(Failure) -> ControlClient {
        if let name { return ControlClient(interface: name, patience: patience) }
        let running = RunDirectory.current.running()
        guard let only = running.first else { throw noneRunning }
        guard running.count == 1 else {
            let names = running.map(\.description).joined(separator: ", ")
            throw Failure(.usage, "several gateways are running: name one of \(names)")
        }
        return ControlClient(interface: only, patience: patience)
    }

    /// The named one, or all.
    static func clients(_ name: InterfaceName?) -> [ControlClient] {
        (name.map { [$0] } ?? RunDirectory.current.running()).map { ControlClient(interface: $0) }
    }

    static var noneRunning: Failure {
        Failure(
            .unavailable,
            "no gateway is running (\(RunDirectory.current.path)); start one with: gateway run --config FILE")
    }
}

/// A key's text from a file, or from standard input for `-`: secrets never stand in the arguments.
enum KeyInput {
    static func text(of file: String) throws(Failure) -> String {
        let text = try reporting { () throws(FileFailure) in
            file == "-" ? try TextFile.readStandardInput() : try TextFile.read(file)
        }
        // Some editors begin a file with a byte order mark.
        return text.drop { $0 == "\u{FEFF}" }.split { $0.isWhitespace }.joined(separator: " ")
    }

    static func privateKey(in file: String) throws(Failure) -> PrivateKey {
        guard let key = PrivateKey(base64: try text(of: file)) else { throw noKey("private key", file, "genkey") }
        return key
    }

    static func publicKey(in file: String) throws(Failure) -> PublicKey {
        guard let key = PublicKey(try text(of: file)) else { throw noKey("public key", file, "pubkey") }
        return key
    }

    static func presharedKey(in file: String) throws(Failure) -> PresharedKey {
        guard let key = PresharedKey(base64: try text(of: file)) else { throw noKey("preshared key", file, "genpsk") }
        return key
    }

    private static func noKey(_ kind: String, _ file: String, _ command: String) -> Failure {
        let place = file == "-" ? "standard input" : file
        return Failure(
            .data, "\(place) is no \(kind): it takes 44 characters of base64, as gatewayctl \(command) prints them")
    }
}
