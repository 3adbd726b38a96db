import ArgumentParser
import Control

/// `gateway run`: the interface, until a signal ends it.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run an interface in the foreground.",
        discussion: """
            Makes the interface with its addresses and routes and runs it until SIGTERM or SIGINT, which take it all \
            away again. SIGHUP reads the file again and applies what changed without dropping sessions.
            """)

    @OptionGroup var file: ConfigurationOption
    @OptionGroup var rights: RightsOption

    func run() throws {
        let (configuration, key) = try file.load()
        let log = Log("\(configuration.interface.name)", .information)
        let daemon = try Daemon(configuration, log, isConfined: rights.isConfined)
        try daemon.run(key)
        try daemon.leave()
    }
}

/// `--no-sandbox`.
struct RightsOption: ParsableArguments {
    @Flag(help: "Keep all rights while reading what comes from the network. For looking for faults, and nothing else.")
    var noSandbox = false

    var isConfined: Bool { !noSandbox }
}
