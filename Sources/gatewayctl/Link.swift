import Addresses
import ArgumentParser
import Control
import Keys

/// `gatewayctl link`: the config files of both ends of a site-to-site tunnel.
struct Link: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes the config files of both ends of a tunnel between two sites.",
        discussion: """
            Takes NAME.key of each site from the folder, or NAME.pub where the private key stays on the far machine, \
            and makes a pair for a site that has neither. The files run with gateway, and with a stock wg-quick as \
            well. Nothing is ever overwritten.
            """)

    @Argument(help: "The first site's name; its file and interface are called the same.")
    var a: InterfaceName

    @Argument(help: "The second site's name.")
    var b: InterfaceName

    @Option(name: .customLong("endpoint-a"), help: "Where the first site is reached, host:port or [IPv6]:port.")
    var endpointA: HostAndPort

    @Option(name: .customLong("endpoint-b"), help: "Where the second site is reached.")
    var endpointB: HostAndPort

    @Option(name: .customLong("net-a"), help: "The networks behind the first site, as in 10.1.0.0/16,fd01::/64.")
    var netA: PrefixList

    @Option(name: .customLong("net-b"), help: "The networks behind the second site.")
    var netB: PrefixList

    @Option(help: "The folder of the keys and for the config files.", completion: .directory)
    var dir = "keys"

    func perform() throws(Failure) {
        try check()
        let sites = [(a, endpointA, netA.prefixes), (b, endpointB, netB.prefixes)]
        var ends: [End] = []
        for (name, endpoint, networks) in sites {
            let found = try KeyPair.find(name, in: dir)
            let keys = if let found { found } else { try KeyPair.make(name, in: dir) }
            ends.append(End(name: name, endpoint: endpoint, networks: networks, keys: keys))
        }
        guard ends[0].keys.publicKey != ends[1].keys.publicKey else {
            throw Failure(.data, "\(a) and \(b) have the same key in \(dir): each site needs its own")
        }
        let presharedKey = PresharedKey.generate()
        try write(ends[0], towards: ends[1], presharedKey)
        do throws(Failure) {
            try write(ends[1], towards: ends[0], presharedKey)
        } catch {
            // Half a link is of no use, and its preshared key is lost.
            TextFile.remove(path(ends[0].name))
            throw error
        }
        for end in ends { Terminal.write(next(end)) }
    }
}

extension Link {
    /// One site as the command line and the key files have it.
    struct End {
        let name: InterfaceName
        let endpoint: HostAndPort
        let networks: [Prefix]
        let keys: KeyPair
    }

    /// What would fail halfway is found before anything is written.
    private func check() throws(Failure) {
        guard a != b else { throw Failure(.usage, "both sites are called \(a): give each its own name") }
        for prefix in netA.prefixes {
            guard let other = netB.prefixes.first(where: { $0.contains(prefix.address) || prefix.contains($0.address) })
            else { continue }
            throw Failure(.usage, "\(prefix) of \(a) and \(other) of \(b) overlap: the two nets must be different")
        }
        for name in [a, b] where TextFile.exists(path(name)) {
            throw Failure(
                .cantCreate, "\(path(name)) exists and is never overwritten: move it away, or choose another --dir")
        }
    }

    private func path(_ name: InterfaceName) -> String { "\(dir)/\(name).conf" }

    private func write(_ end: End, towards other: End, _ presharedKey: PresharedKey) throws(Failure) {
        let source: Configuration.PrivateKeySource = end.keys.privateKey.map { .inline($0) } ?? .file("\(end.name).key")
        var interface = Configuration.Interface(name: end.name, privateKey: source)
        interface.listenPort = end.endpoint.port
        var peer = Configuration.Peer(publicKey: other.keys.publicKey)
        peer.name = "\(other.name)"
        peer.presharedKey = presharedKey
        peer.allowedIPs = other.networks
        peer.endpoint = other.endpoint
        peer.compression = .auto
        peer.cipher = .auto
        let configuration = Configuration(file: path(end.name), interface: interface, peers: [peer])
        var comment = [
            "The tunnel from \(end.name) to \(other.name), made by gatewayctl link. It holds secrets: keep its mode 0600.",
            "Lines that begin with \"#:\" are read by gateway and skipped by wg and wg-quick.",
        ]
        if end.keys.privateKey == nil {
            comment.append("The private key is in \(end.name).key beside this file; wg-quick needs it in this one.")
        }
        try reporting { () throws(FileFailure) in
            try TextFile.create(path(end.name), mode: 0o600, text: configuration.text(comment: comment))
        }
    }

    /// What the person does with a file.
    private func next(_ end: End) -> String {
        guard end.keys.privateKey == nil else {
            return "\(path(end.name)): run on \(end.name) with: gateway run --config \(end.name).conf\n"
        }
        return "\(path(end.name)): has no private key; copy it to \(end.name) by a safe way (it holds the preshared "
            + "key), put it beside \(end.name).key, and run there: gateway run --config \(end.name).conf\n"
    }
}
