import ArgumentParser
import Control

/// `gatewayctl key`: the key pair of a running gateway.
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Shows or changes the key of a running gateway.",
        subcommands: [ShowKey.self, SetKey.self, RotateKey.self])
}

extension KeyCommand {
    struct ShowKey: GatewayCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Prints the public key.")

        @Argument(help: "The interface; may be left out if only one is running.")
        var name: InterfaceName?
        @Flag(help: "One line of JSON.")
        var json = false

        func perform() throws(Failure) {
            let client = try RunningGateway.client(name)
            let key = try reporting { () throws(ControlError) in try client.publicKey() }
            if json, let line = try? JSON.encode(KeyReply(publicKey: key)) {
                return Terminal.write(line + [UInt8(ascii: "\n")])
            }
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

extension KeyCommand {
    struct RotateKey: GatewayCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate",
            abstract: "Changes the private key without a gap: gateways are told the new public key first.",
            discussion: """
                The key is made here. Every peer that is a gateway gets the public half through the tunnel and writes it down; \
                when all have, this end goes over to it, and sessions go on. Peers that can't be told are named, and nothing is \
                changed, unless --leave-behind says to go on: they reach this end no more until they have the new key by hand. \
                Started again, it goes on where it was.
                """)

        @Argument(help: "The interface; may be left out if only one is running.")
        var name: InterfaceName?
        @Flag(help: "Go on although there are peers that can't be told.")
        var leaveBehind = false
        @Flag(help: "One line of JSON.")
        var json = false

        func perform() throws(Failure) {
            let client = try RunningGateway.client(name, patience: .seconds(40))
            let reply = try reporting { () throws(ControlError) in try client.rotateKey(leavingBehind: leaveBehind) }
            let isDone = reply.state == RotationReply.State.done.rawValue
            if json, let line = try? JSON.encode(reply) {
                Terminal.write(line + [UInt8(ascii: "\n")])
            } else if isDone {
                Terminal.write("\(reply.publicKey)\n")
                for peer in reply.leftBehind {
                    Terminal.complain("tell \(peer) by hand: PublicKey = \(reply.publicKey)")
                }
            }
            guard !isDone else { return }
            throw Failure(
                .unavailable,
                "\(reply.waitsFor.joined(separator: ", ")) has not confirmed the new key yet; the old one holds: try again"
            )
        }
    }
}

/// `gatewayctl psk`: preshared keys of a running gateway.
struct PresharedKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "psk", abstract: "Changes the preshared key of a peer of a running gateway.",
        subcommands: [SetPresharedKey.self, RotatePresharedKey.self])

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

extension PresharedKeyCommand {
    struct RotatePresharedKey: GatewayCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate", abstract: "Has this gateway and a peer go over to a new preshared key.",
            usage: "gatewayctl psk rotate [NAME] PEER",
            discussion: """
                The key is made here and goes through the tunnel. Both ends write it into their files and take the old one as \
                well until a session with the new one stands: nothing is lost, whatever happens meanwhile. Started again, it \
                goes on where it was. A peer that is no gateway, or too old a one, is refused, and nothing is changed: psk set.
                """)

        @Argument(
            help: "The interface, if more than one is running, and the peer, by name or public key.", completion: .peers
        )
        var words: [String] = []
        @Flag(help: "One line of JSON.")
        var json = false

        func perform() throws(Failure) {
            let (name, rest) = try SplitName.from(words, count: 1)
            let client = try RunningGateway.client(name, patience: .seconds(40))
            let reply = try reporting { () throws(ControlError) in try client.rotatePresharedKey(withPeer: rest[0]) }
            let isDone = reply.state == RotationReply.State.done.rawValue
            if json, let line = try? JSON.encode(reply) {
                Terminal.write(line + [UInt8(ascii: "\n")])
            } else if isDone {
                Terminal.write("\(rest[0]): both ends use a new preshared key\n")
            }
            guard !isDone else { return }
            throw Failure(
                .unavailable,
                "\(rest[0]) has not confirmed the new preshared key yet; both ends take both until then, and it goes on by itself"
            )
        }

        func validate() throws { try SplitName.validate(words, count: 1, usage: "[NAME] PEER") }
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
