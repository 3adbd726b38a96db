import ArgumentParser
import Control

extension PeerCommand {
    /// `gatewayctl peer list`.
    struct ListPeers: GatewayCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Lists the peers of a running gateway, a line each.")

        @Argument(help: "The interface; may be left out if only one runs.")
        var name: InterfaceName?
        @Flag(help: "One line of JSON.")
        var json = false

        func perform() throws(Failure) {
            let client = try RunningGateway.client(name)
            let peers = try reporting { () throws(ControlError) in try client.statistics().peers }
            if json {
                do throws(JSON.Malformed) {
                    return Terminal.write(
                        try JSON.encode(PeerList(interface: "\(client.interface)", peers: peers)) + [UInt8(ascii: "\n")]
                    )
                } catch {
                    throw Failure(.software, "the statistics are \(error)")
                }
            }
            let rows = peers.map { peer in
                let age = peer.latestHandshake == 0 ? "never" : Quantities.ago(peer.latestHandshake, now: Terminal.now)
                return [
                    peer.name ?? "-", peer.publicKey, peer.endpoint ?? peer.endpointName ?? "-",
                    peer.allowedIPs.isEmpty ? "-" : peer.allowedIPs.joined(separator: ","), age,
                ]
            }
            for row in rows {
                let cells = row.enumerated().map { column, cell in
                    let width = rows.map { $0[column].count }.max() ?? 0
                    return column == row.count - 1 ? cell : cell + String(repeating: " ", count: width - cell.count)
                }
                Terminal.write(cells.joined(separator: "  ") + "\n")
            }
        }
    }

    /// `gatewayctl peer set`.
    struct SetPeer: GatewayCommand {
        static let configuration = CommandConfiguration(
            commandName: "set",
            abstract: "Changes keys of a peer in SITE.conf, and has a running gateway take them over.",
            discussion: """
                As in: peer set hq branch AllowedIPs=10.2.0.0/24 Compression=auto Endpoint= \
                An empty value takes the key away. All else in the file stays, comments and order too. If the gateway refuses \
                the file, it is as it was.
                """)

        @Argument(help: "The site that has a config file here.")
        var site: InterfaceName
        @Argument(help: "The peer, by name or public key.", completion: .peers)
        var peer: String
        @Argument(help: "Key=value, of the keys in a [Peer] section.")
        var values: [String]
        @Option(help: "The folder of the config files.", completion: .directory)
        var dir = "keys"

        func perform() throws(Failure) {
            var pairs: [(key: String, value: String)] = []
            for text in values {
                let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2 else {
                    throw Failure(.usage, "\"\(Diagnostic.printable(text))\" is no Key=value")
                }
                pairs.append((String(parts[0]), String(parts[1])))
            }
            guard !pairs.isEmpty else { throw Failure(.usage, "nothing is to be set: write Key=value") }
            let file = try SiteChange.file(site, dir)
            try SiteChange.make(try file.setting(pairs, of: peer), in: file)
        }
    }

    /// `gatewayctl peer remove`.
    struct RemovePeer: GatewayCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Takes a peer out of SITE.conf, and has a running gateway let go of it.",
            discussion: """
                All else in the file stays, comments and order too. If the gateway refuses the file, it is as it was.
                """)

        @Argument(help: "The site that has a config file here.")
        var site: InterfaceName
        @Argument(help: "The peer, by name or public key.", completion: .peers)
        var peer: String
        @Option(help: "The folder of the config files.", completion: .directory)
        var dir = "keys"

        func perform() throws(Failure) {
            let file = try SiteChange.file(site, dir)
            try SiteChange.make(try file.removing(peer), in: file)
        }
    }
}

/// A change to a site's file and to the gateway that runs by it: both, or neither.
enum SiteChange {
    static func file(_ site: InterfaceName, _ dir: String) throws(Failure) -> SiteFile {
        guard let file = try SiteFile.find("\(dir)/\(site).conf") else {
            throw Failure(.missingInput, "there is no \(dir)/\(site).conf: choose another SITE or --dir")
        }
        return file
    }

    static func make(_ change: FileChange, in file: SiteFile, quietly: Bool = false) throws(Failure) {
        let name = file.configuration.interface.name
        try reporting { () throws(FileFailure) in try TextFile.change([change]) }
        guard RunDirectory.current.running().contains(name) else {
            if !quietly { Terminal.write("\(file.path): changed; no gateway named \(name) runs here\n") }
            return
        }
        let reply: ReloadReply
        do throws(ControlError) {
            reply = try ControlClient(interface: name).reload(dryRun: false)
        } catch {
            let failure = Failure(error)
            try reporting { () throws(FileFailure) in try TextFile.replace(file.path, text: file.text) }
            throw Failure(failure.status, "\(failure.message); \(file.path) is as it was")
        }
        let changes = reply.changes ?? []
        for change in changes where !quietly || !change.isApplied {
            Terminal.write(change.reason.map { "\(change.what): not changed, \($0)\n" } ?? "\(change.what)\n")
        }
        if changes.isEmpty {
            Terminal.write(
                "\(file.path): changed; the gateway \(name) that runs here found nothing new: does it read another file?\n"
            )
        }
        guard changes.allSatisfy(\.isApplied) else {
            throw Failure(.unavailable, "the file is changed, and not all of it holds yet")
        }
    }
}
