import ArgumentParser
import Control
import Glibc

/// `gatewayctl upgrade`: another process, of a newer version perhaps, takes the place of the one that runs.
struct Upgrade: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract: "Have a running gateway go on as another program, without losing a packet.",
        discussion: """
            The program that it was started from, as it is now, or another one takes over the interface, its sockets and its \
            sessions; nobody shakes hands anew. The file is read again, as by reload. If the new program can't go on from \
            where the old one is, the old one goes on, and the exit code is not 0.
            """)

    @Option(
        name: .long, help: "The program; it must belong to root, and nobody else may write it.", completion: .file())
    var binary: String?

    @Argument(help: "The interface; may be left out if only one is running.")
    var name: InterfaceName?

    func perform() throws(Failure) {
        let found = try RunningGateway.client(name)
        let client = ControlClient(interface: found.interface, patience: .seconds(90))
        if let binary { try wish(for: binary, client) }
        defer { if binary != nil { TextFile.remove(client.upgradeWish) } }
        let reply = try reporting { () throws(ControlError) in try client.upgrade() }
        Terminal.write(
            "\(client.interface): version \(reply.version), process \(reply.process); packets waited "
                + "\(Double(reply.waitedMicroseconds / 100) / 10) ms\n")
    }

    /// Says which program, where root alone can.
    private func wish(for binary: String, _ client: ControlClient) throws(Failure) {
        guard let resolved = unsafe realpath(binary, nil) else {
            throw Failure(.missingInput, "there is no \(binary)")
        }
        defer { unsafe free(resolved) }
        let path = unsafe String(cString: resolved)
        TextFile.remove(client.upgradeWish)
        try reporting { () throws(FileFailure) in
            try TextFile.create(client.upgradeWish, mode: 0o600, text: path + "\n")
        }
    }
}
