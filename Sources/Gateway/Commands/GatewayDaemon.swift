import ArgumentParser
import Control
import Glibc
import Keys

/// `gateway`: the daemon.
@main
struct GatewayDaemon: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "A WireGuard endpoint that makes thin links fat.",
        discussion: """
            Every packet of a TUN device is compressed, encrypted and framed, and sent to a peer over UDP. To any \
            WireGuard peer this is WireGuard; to another gateway it also compresses.
            """,
        version: Release.version,
        subcommands: [RunCommand.self, CheckCommand.self, InterfaceCommand.self, TakeoverCommand.self],
        defaultSubcommand: InterfaceCommand.self)

    /// Runs the command as ArgumentParser's own `main` does, but an error is one line.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as Failure {
            Log.print("gateway: \(failure.message)")
            Self.exit(withError: ExitCode(failure.status.rawValue))
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            Log.print("gateway: \(mistake ?? message(for: error)); see: gateway --help")
            Self.exit(withError: ExitCode(ExitStatus.usage.rawValue))
        }
    }

    /// The mistake in the first word, if options that don't belong to it follow.
    private static var mistake: String? {
        guard let word = CommandLine.arguments.dropFirst().first, !word.hasPrefix("-"),
            !configuration.subcommands.contains(where: { $0.configuration.commandName == word })
        else { return nil }
        return InterfaceCommand.mistake(word, isAlone: CommandLine.arguments.count <= 2)
    }
}

/// `--config FILE`, read and checked.
struct ConfigurationOption: ParsableArguments {
    @Option(name: .long, help: "The configuration; the interface is named like the file.")
    var config: String

    /// The file and its private key. Prints all that is wrong with them, a line each, and throws if any is an error.
    func load() throws -> (configuration: Configuration, key: PrivateKey) {
        let found: (configuration: Configuration?, diagnostics: [Diagnostic])
        do throws(FileFailure) {
            found = try Configuration.load(config)
        } catch {
            throw Failure(error)
        }
        Self.print(found.diagnostics)
        guard let configuration = found.configuration else { throw ExitCode(ExitStatus.configuration.rawValue) }
        let (key, diagnostics) = configuration.loadPrivateKey()
        Self.print(diagnostics)
        guard let key else { throw ExitCode(ExitStatus.configuration.rawValue) }
        return (configuration, key)
    }

    private static func print(_ diagnostics: [Diagnostic]) {
        for diagnostic in diagnostics { Log.print("\(diagnostic)") }
    }
}
