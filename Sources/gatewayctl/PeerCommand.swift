import Addresses
import ArgumentParser
import Control
import Keys

/// `gatewayctl peer`: peers in the config file of a site.
struct PeerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "peer", abstract: "Lists, adds, changes and removes peers of a site.",
        subcommands: [ListPeers.self, AddPeer.self, SetPeer.self, RemovePeer.self])

    struct AddPeer: GatewayCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Adds a device to SITE.conf and writes the device's own file.",
            discussion: """
                The device gets plain WireGuard. Its file, DEVICE.conf, holds a private key that was made here; with \
                --public-key the device has made its own, and what to enter there is printed instead. SITE.conf keeps \
                all that stands there. A tunnel between two gateways: gatewayctl link.
                """)

        @Argument(help: "The site that has a config file here.")
        var site: InterfaceName
        @Argument(help: "The device's name, and that of its file.")
        var device: InterfaceName

        @Option(help: "The device's addresses inside the tunnel, as in 10.9.0.2,fd09::2: its own and nobody else's.")
        var address: AddressList
        @Option(help: "Where the site is reached, host:port or [IPv6]:port.")
        var endpoint: HostAndPort
        @Option(help: "What the device sends through the tunnel; everything if left out.")
        var net: PrefixList?
        @Option(help: "Name servers for the device, addresses behind the site.")
        var dns: AddressList?
        @Option(
            name: .customLong("public-key"), help: "A file with the device's public key (- is standard input).",
            completion: .file())
        var publicKeyFile: String?

        @Option(help: "The folder of the config files.", completion: .directory)
        var dir = "keys"

        func perform() throws(Failure) {
            guard let file = try SiteFile.find("\(dir)/\(site).conf") else {
                throw Failure(.missingInput, "there is no \(dir)/\(site).conf: choose another SITE or --dir")
            }
            let siteKey = try KeyPair.of(file, try KeyPair.find(site, in: dir)).publicKey
            let key: PrivateKey? = publicKeyFile == nil ? .generate() : nil
            let publicKey = if let key { key.publicKey } else { try KeyInput.publicKey(in: publicKeyFile ?? "-") }
            let secret: PresharedKey? = key == nil ? nil : .generate()

            var peer = Configuration.Peer(publicKey: publicKey)
            peer.name = "\(device)"
            peer.presharedKey = secret
            peer.allowedIPs = address.addresses.compactMap { Prefix($0.address, length: $0.address.width) }
            var changes = [try file.adding(peer)]

            let path = "\(dir)/\(device).conf"
            let text = deviceFile(path, key, secret, siteKey)
            if key != nil { changes.append(.create(path, mode: 0o600, text: text)) }
            try reporting { () throws(FileFailure) in try TextFile.change(changes) }
            Terminal.write(KeyPair.reload(file, device))
            guard key == nil else {
                return Terminal.write(
                    "\(path): holds the device's private key; bring it there (as a picture: qrencode -t ansiutf8 < "
                        + "\(path)), and remove it here\n")
            }
            Terminal.write("Enter on the device:\n\n" + text)
        }

        private func deviceFile(
            _ path: String, _ key: PrivateKey?, _ secret: PresharedKey?, _ siteKey: PublicKey
        ) -> String {
            var interface = Configuration.Interface(name: device, privateKey: key.map { .inline($0) } ?? .unset)
            interface.addresses = address.addresses
            interface.dnsServers = dns?.addresses.map(\.address) ?? []
            var peer = Configuration.Peer(publicKey: siteKey)
            peer.presharedKey = secret
            peer.allowedIPs = net?.prefixes ?? [Prefix("0.0.0.0/0"), Prefix("::/0")].compactMap { $0 }
            peer.endpoint = endpoint
            peer.persistentKeepalive = .seconds(25)
            return Configuration(file: path, interface: interface, peers: [peer]).text()
        }
    }
}
