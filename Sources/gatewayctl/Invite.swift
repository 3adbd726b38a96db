import Addresses
import ArgumentParser
import Control
import Glibc
import Keys

/// `gatewayctl invite`: another end joins, with one paste each way.
struct Invite: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints a line that gatewayctl join takes on another machine, and lets that machine in.",
        discussion: """
            The line holds a secret, and is good for some hours: bring it to the other machine in a way that others do not see. What join \
            prints there is pasted here, or given later with --answer; only then the other end is a peer. Private keys are made \
            where they are used. A site that has no config file yet gets one. With --phone the invited one is a phone or another \
            stock peer, which takes the picture.
            """)

    @Argument(help: "The name of the other end.")
    var name: InterfaceName

    @Option(help: "Where this site is reached, host:port or [IPv6]:port.")
    var endpoint: HostAndPort?
    @Option(help: "This site; the only one in the folder if left out, or hub.")
    var site: InterfaceName?
    @Option(help: "The networks behind this site; 0.0.0.0/0,::/0 is the Internet.")
    var net: PrefixList?
    @Option(name: .customLong("far-net"), help: "The networks behind the other end.")
    var farNet: PrefixList?
    @Option(help: "The other end's addresses inside; the next that is free in this site's network if left out.")
    var address: AddressList?
    @Option(
        name: .customLong("own-address"), help: "This site's address inside if it is new, with its network.")
    var ownAddress: AddressList?
    @Option(help: "Name servers for a phone, addresses behind the site.")
    var dns: AddressList?
    @Option(help: "Hours for which the line is good.")
    var hours = 24

    @Flag(help: "The other end is a phone, or another stock peer: shows its whole config as a picture.")
    var phone = false
    @Flag(help: "Shows the line as a picture too.")
    var qr = false
    @Flag(help: "Does not wait for the answer.")
    var later = false
    @Flag(help: "Reads the answer to an invitation of before.")
    var answer = false
    @Flag(help: "Goes on as gateway run, unless the site runs already.")
    var run = false
    @Flag(help: "The line as JSON.")
    var json = false

    @Option(help: "The folder of the keys and config files.", completion: .directory)
    var dir = "keys"

    private static let newAddress = InterfaceAddress("10.86.0.1/24")

    func perform() throws(Failure) {
        guard (1...8760).contains(hours) else { throw Failure(.usage, "--hours takes 1 to 8760") }
        let site = site ?? InvitingSite.only(in: dir) ?? InterfaceName("hub")
        guard let site else { throw Failure(.usage, "name the site with --site") }
        if answer {
            try take(try Paste.read("the answer"), at: site)
        } else if phone {
            return try invitePhone(at: site)
        } else {
            let invitation = try invite(at: site)
            try show(invitation)
            if later { return }
            try take(try Paste.read("the answer"), at: site)
        }
        if run { try GatewayProcess.become("\(dir)/\(site).conf", site) }
    }

    // MARK: Steps

    private func invite(at site: InterfaceName) throws(Failure) -> Invitation {
        guard let endpoint else { throw Failure(.usage, "say with --endpoint where this site is reached") }
        let (file, key) = try InvitingSite.ready(
            site, dir, endpoint, ownAddress?.addresses ?? [Self.newAddress].compactMap { $0 })
        let expires = Terminal.now + Int64(hours) * 3600
        var invitation = Invitation(
            site: site, name: name, key, .generate(), endpoint: endpoint, expires: expires)
        let own = file.configuration.interface.addresses.map(\.prefix)
        invitation.networks = (own + (net?.prefixes ?? [])).map(\.description)
        invitation.farNetworks = farNet?.prefixes.map(\.description) ?? []
        invitation.addresses = try addresses(beside: file).map(\.description)
        // What the file could not be with is found before anybody is invited.
        let placeholder = InvitationAnswer(to: invitation, PrivateKey.generate().publicKey)
        if let peer = invitation.peer(answering: placeholder) { _ = try file.adding(peer) }
        let path = invitationPath
        try reporting { () throws(FileFailure) in
            // One that was never answered goes.
            if TextFile.exists(path) { TextFile.remove(path) }
            try TextFile.create(path, mode: 0o600, text: invitation.line + "\n")
        }
        return invitation
    }

    private var invitationPath: String { "\(dir)/\(name).invite" }

    private func show(_ invitation: Invitation) throws(Failure) {
        if json {
            let shown = ["invitation": invitation.line, "expires": "\(invitation.expires)"]
            if let text = try? JSON.encode(shown) { Terminal.write(text + [UInt8(ascii: "\n")]) }
        } else {
            Terminal.write(invitation.line + "\n")
        }
        if qr || (Terminal.isTerminal && !json), let code = QRCode(invitation.line) { Terminal.write(code.text()) }
        Terminal.say(
            "good for \(hours) hours, and a secret until then; on \(name): gatewayctl join, and paste it there")
    }

    /// Takes the answer: the other end becomes a peer, in the file and in the gateway that runs.
    private func take(_ line: String, at site: InterfaceName) throws(Failure) {
        guard let answer = InvitationAnswer(line: line) else {
            throw Failure(.data, "this is no answer: it begins with \(InvitationAnswer.mark)")
        }
        let path = invitationPath
        guard TextFile.exists(path) else {
            throw Failure(.missingInput, "there is no invitation of \(name) in \(dir): invite it first")
        }
        let text = try reporting { () throws(FileFailure) in try TextFile.read(path) }
        guard let invitation = Invitation(line: text), invitation.id == answer.id,
            let peer = invitation.peer(answering: answer)
        else { throw Failure(.data, "the answer is not to the last invitation of \(name)") }
        guard Terminal.now < invitation.expires else {
            TextFile.remove(path)
            throw Failure(.data, "the invitation of \(name) has expired: invite it anew")
        }
        let file = try SiteChange.file(site, dir)
        try SiteChange.make(try file.adding(peer), in: file)
        TextFile.remove(path)
        Terminal.say("\(name) is a peer of \(site) now")
    }

    /// The addresses of the new end.
    private func addresses(beside file: SiteFile) throws(Failure) -> [InterfaceAddress] {
        if let address { return address.addresses }
        let taken = file.configuration.peers.flatMap(\.allowedIPs).filter { $0.length > 0 }
        for own in file.configuration.interface.addresses where own.length < own.address.width {
            for next in own.others where !taken.contains(where: { $0.contains(next) }) {
                return [InterfaceAddress("\(next)/\(own.length)")].compactMap { $0 }
            }
        }
        throw Failure(.usage, "no address is free in the network of \(file.path): name one with --address")
    }

    private func invitePhone(at site: InterfaceName) throws(Failure) {
        guard let endpoint else { throw Failure(.usage, "say with --endpoint where this site is reached") }
        let (file, siteKey) = try InvitingSite.ready(
            site, dir, endpoint, ownAddress?.addresses ?? [Self.newAddress].compactMap { $0 })
        let (key, secret) = (PrivateKey.generate(), PresharedKey.generate())
        let addresses = try addresses(beside: file)
        var peer = Configuration.Peer(publicKey: key.publicKey)
        peer.name = "\(name)"
        peer.presharedKey = secret
        peer.allowedIPs = addresses.compactMap { Prefix($0.address, length: $0.address.width) }

        var interface = Configuration.Interface(name: name, privateKey: .inline(key))
        interface.addresses = addresses.compactMap { InterfaceAddress("\($0.address)") }
        interface.dnsServers = dns?.addresses.map(\.address) ?? []
        var far = Configuration.Peer(publicKey: siteKey)
        far.presharedKey = secret
        far.allowedIPs = net?.prefixes ?? [Prefix("0.0.0.0/0"), Prefix("::/0")].compactMap { $0 }
        far.endpoint = endpoint
        far.persistentKeepalive = .seconds(25)
        guard let code = QRCode(Configuration(file: "\(name).conf", interface: interface, peers: [far]).text()) else {
            throw Failure(.data, "too much for a picture: leave networks out")
        }
        try SiteChange.make(try file.adding(peer), in: file, quietly: true)
        Terminal.write(code.text())
        Terminal.say("let the phone's WireGuard read this; it holds the phone's private key, and is nowhere else")
        if run { try GatewayProcess.become("\(dir)/\(site).conf", site) }
    }
}

/// `gatewayctl join`: takes an invitation.
struct Join: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Takes the line that gatewayctl invite printed, makes a key and a config file, and prints the answer.",
        discussion: """
            The line is pasted, or comes from standard input: it is a secret, and has no place in arguments. The answer is none; \
            paste it where the invitation came from.
            """)

    @Option(help: "The name of the config file and interface; as the invitation says if left out.")
    var name: InterfaceName?
    @Option(help: "The UDP port; the system chooses if left out.")
    var port: UInt16 = 0
    @Flag(help: "Shows the answer as a picture too.")
    var qr = false
    @Flag(help: "Goes on as gateway run.")
    var run = false
    @Flag(help: "The answer as JSON.")
    var json = false
    @Option(help: "The folder for the config file.", completion: .directory)
    var dir = "keys"

    func perform() throws(Failure) {
        guard let invitation = Invitation(line: try Paste.read("the invitation")),
            let peer = invitation.peer, let given = name ?? InterfaceName(invitation.name)
        else {
            throw Failure(.data, "this is no invitation, or not all of it: it begins with \(Invitation.mark)")
        }
        guard Terminal.now < invitation.expires else {
            throw Failure(.data, "the invitation has expired: ask for another one")
        }
        let key = PrivateKey.generate()
        var interface = Configuration.Interface(name: given, privateKey: .inline(key))
        interface.addresses = invitation.addresses.compactMap { InterfaceAddress($0) }
        interface.listenPort = port
        let path = "\(dir)/\(given).conf"
        let configuration = Configuration(file: path, interface: interface, peers: [peer])
        let comment = [
            "The tunnel from \(given) to \(invitation.site), made by gatewayctl join. It holds secrets: keep its mode 0600.",
            "Lines that begin with \"#:\" are read by gateway and skipped by wg and wg-quick.",
        ]
        try reporting { () throws(FileFailure) in
            try TextFile.makePrivateFolder(dir)
            try TextFile.create(path, mode: 0o600, text: configuration.text(comment: comment))
        }
        let answer = InvitationAnswer(to: invitation, key.publicKey).line
        if json {
            if let text = try? JSON.encode(["answer": answer, "file": path]) {
                Terminal.write(text + [UInt8(ascii: "\n")])
            }
        } else {
            Terminal.write(answer + "\n")
        }
        if qr, let code = QRCode(answer) { Terminal.write(code.text()) }
        Terminal.say("paste this where the invitation came from; \(path) is ready: gateway run --config \(path)")
        if run { try GatewayProcess.become(path, given) }
    }
}
