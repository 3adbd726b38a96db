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
            and makes a pair for a site that has neither. A site that has a file already gets the other as one more \
            [Peer] behind what stands there: so a hub gets its second branch. Nothing is ever overwritten. The files \
            run with gateway, and with a stock wg-quick as well.
            """)

    @Argument(help: "The first site's name; its file and interface are called the same.")
    var a: InterfaceName
    @Argument(help: "The second site's name.")
    var b: InterfaceName

    @Option(
        name: .customLong("endpoint-a"),
        help: "Where the first site is reached, host:port or [IPv6]:port. A site without a fixed address has none.")
    var endpointA: HostAndPort?
    @Option(name: .customLong("endpoint-b"), help: "Where the second site is reached. One of the two is needed.")
    var endpointB: HostAndPort?

    @Option(
        name: .customLong("net-a"),
        help: "The networks behind the first site, as in 10.1.0.0/16,fd01::/64; 0.0.0.0/0,::/0 is the Internet.")
    var netA: PrefixList
    @Option(name: .customLong("net-b"), help: "The networks behind the second site.")
    var netB: PrefixList

    @Option(help: "The folder of the keys and for the config files.", completion: .directory)
    var dir = "keys"

    func perform() throws(Failure) {
        try check()
        let ends = [try end(a, endpointA, netA), try end(b, endpointB, netB)]
        guard ends[0].keys.publicKey != ends[1].keys.publicKey else {
            throw Failure(.data, "\(a) and \(b) have the same key in \(dir): each site needs its own")
        }
        let presharedKey = PresharedKey.generate()
        var changes: [FileChange] = []
        for end in ends where end.makesKeys { changes += end.keys.creation(of: end.name, in: dir) }
        changes.append(try change(ends[0], towards: ends[1], presharedKey))
        changes.append(try change(ends[1], towards: ends[0], presharedKey))
        try reporting { () throws(FileFailure) in
            try TextFile.makePrivateFolder(dir)
            // Half a link is of no use.
            try TextFile.change(changes)
        }
        for (end, other) in [(ends[0], b), (ends[1], a)] {
            warn(end)
            Terminal.write(next(end, other))
        }
    }
}

extension Link {
    /// One site as the command line and its files have it.
    private struct End {
        let name: InterfaceName
        let endpoint: HostAndPort?
        let networks: [Prefix]
        /// The config file, if there is one already.
        let file: SiteFile?
        let keys: KeyPair
        /// Whether the key files are to be made.
        var makesKeys = false
    }

    /// What the command line alone tells.
    private func check() throws(Failure) {
        guard a != b else { throw Failure(.usage, "both sites are called \(a): give each its own name") }
        guard endpointA != nil || endpointB != nil else {
            throw Failure(.usage, "one of the sites must be reached by the other: give --endpoint-a or --endpoint-b")
        }
        // The Internet is behind one site although the other's networks are in it.
        for prefix in netA.prefixes {
            let overlapping = netB.prefixes.first { other in
                (prefix.length > 0) == (other.length > 0)
                    && (other.contains(prefix.address) || prefix.contains(other.address))
            }
            guard let other = overlapping else { continue }
            throw Failure(.usage, "\(prefix) of \(a) and \(other) of \(b) overlap: the two nets must be different")
        }
    }

    private func path(_ name: InterfaceName) -> String { "\(dir)/\(name).conf" }

    private func end(_ name: InterfaceName, _ endpoint: HostAndPort?, _ net: PrefixList) throws(Failure) -> End {
        let file = try SiteFile.find(path(name))
        let found = try KeyPair.find(name, in: dir)
        if let file {
            let keys = try KeyPair.of(file, found)
            return End(name: name, endpoint: endpoint, networks: net.prefixes, file: file, keys: keys)
        }
        return End(
            name: name, endpoint: endpoint, networks: net.prefixes, file: nil, keys: found ?? .generate(),
            makesKeys: found == nil)
    }

    /// What makes an end's file, or adds to it.
    private func change(
        _ end: End, towards other: End, _ presharedKey: PresharedKey
    ) throws(Failure) -> FileChange {
        var peer = Configuration.Peer(publicKey: other.keys.publicKey)
        peer.name = "\(other.name)"
        peer.presharedKey = presharedKey
        peer.allowedIPs = other.networks
        peer.endpoint = other.endpoint
        // Who can't be found speaks first, and keeps the way back open.
        if end.endpoint == nil { peer.persistentKeepalive = .seconds(25) }
        peer.compression = .auto
        peer.cipher = .auto
        peer.postQuantum = .prefer
        if let file = end.file { return try file.adding(peer) }

        let source: Configuration.PrivateKeySource = end.keys.privateKey.map { .inline($0) } ?? .file("\(end.name).key")
        var interface = Configuration.Interface(name: end.name, privateKey: source)
        interface.listenPort = end.endpoint?.port ?? 0
        // As in the networks at both ends: nobody there has to find out anything smaller.
        interface.mtu = 1500
        let configuration = Configuration(file: path(end.name), interface: interface, peers: [peer])
        var comment = [
            "The tunnel from \(end.name) to \(other.name), made by gatewayctl link. It holds secrets: keep its mode 0600.",
            "Lines that begin with \"#:\" are read by gateway and skipped by wg and wg-quick.",
        ]
        if end.keys.privateKey == nil {
            comment.append("The private key is in \(end.name).key beside this file; wg-quick needs it in this one.")
        }
        return .create(path(end.name), mode: 0o600, text: configuration.text(comment: comment))
    }

    /// Says it if a site would not be found where the other looks for it.
    private func warn(_ end: End) {
        guard let file = end.file, let endpoint = end.endpoint else { return }
        let port = file.configuration.interface.listenPort
        guard port != endpoint.port else { return }
        let listening = port == 0 ? "has no ListenPort" : "has ListenPort = \(port)"
        Terminal.complain(
            "\(file.path) \(listening), and the other site sends to \(endpoint): right only if a router translates it")
    }

    /// What the person does with a file.
    private func next(_ end: End, _ other: InterfaceName) -> String {
        if let file = end.file { return KeyPair.reload(file, other) }
        guard end.keys.privateKey == nil else {
            return "\(path(end.name)): run on \(end.name) with: gateway run --config \(end.name).conf\n"
        }
        return "\(path(end.name)): has no private key; copy it to \(end.name) by a safe way (it holds the preshared "
            + "key), put it beside \(end.name).key, and run there: gateway run --config \(end.name).conf\n"
    }
}
