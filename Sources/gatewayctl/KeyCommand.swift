import ArgumentParser
import Control

/// `gatewayctl key`: the key pair of a running gateway.
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Shows or changes the key of a running gateway.",
        subcommands: [ShowKey.self, SetKey.self])
}

extension KeyCommand {
    struct ShowKey: GatewayCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Prints the public key.")

        @Argument(help: "The interface; may be left out if only one is running.")
        var name: InterfaceName?

        func perform() throws(Failure) {
            let client = try RunningGateway.client(name)
            let key = try reporting { () throws(ControlError) in try client.publicKey() }
            Terminal.write(key + "\n")
        }
    }

    struct SetKey: GatewayCommand {
        static let configuration = CommandConfiguration(
            commandName: "set", abstract: "Changes the private key at once and in its file; prints the new public key.",
            usage: "gatewayctl key set [NAME] FILE",
            discussion: "The other ends must get the new public key: until then they don't answer.")

        @Argument(help: "The interface, if more than one is running, and the file with the key (- is standard input).")
        var words: [String] = []

        func perform() throws(Failure) {
            let (name, rest) = try SplitName.from(words, count: 1)
            let key = try KeyInput.privateKey(in: rest[0])
            let client = try RunningGateway.client(name)
            let publicKey = try reporting { () throws(ControlError) in try client.setPrivateKey(key) }
            Terminal.write(publicKey + "\n")
        }

        func validate() throws { try SplitName.validate(words, count: 1, usage: "[NAME] FILE") }
    }
}

/// `gatewayctl psk`: preshared keys of a running gateway.
struct PresharedKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "psk", abstract: "Changes the preshared key of a peer of a running gateway.",
        subcommands: [SetPresharedKey.self])

    struct SetPresharedKey: GatewayCommand {
        static let configuration = CommandConfiguration(
            commandName: "set", abstract: "Changes the preshared key with a peer.",
            usage: "gatewayctl psk set [NAME] PEER FILE",
            discussion: "PEER is its public key or its Name. The other end must get the same key.")

        @Argument(help: "The interface, if more than one is running, the peer, and the file with the key (- is stdin).")
        var words: [String] = []

        func perform() throws(Failure) {
            let (name, rest) = try SplitName.from(words, count: 2)
            let key = try KeyInput.presharedKey(in: rest[1])
            let client = try RunningGateway.client(name)
            try reporting { () throws(ControlError) in try client.setPresharedKey(key, ofPeer: rest[0]) }
        }

        func validate() throws { try SplitName.validate(words, count: 2, usage: "[NAME] PEER FILE") }
    }
}

/// Arguments of which the first, the interface, may be left out.
enum SplitName {
    static func validate(_ words: [String], count: Int, usage: String) throws {
        guard words.count == count || words.count == count + 1 else { throw ValidationError("write \(usage)") }
    }

    static func from(_ words: [String], count: Int) throws(Failure) -> (InterfaceName?, [String]) {
        guard words.count > count else { return (nil, words) }
        guard let name = InterfaceName(words[0]) else {
            throw Failure(.usage, "\"\(words[0])\" is no interface name; see: gatewayctl --help")
        }
        return (name, Array(words.dropFirst()))
    }
}
