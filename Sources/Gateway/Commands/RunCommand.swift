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

    func run() throws {
        let (configuration, key) = try file.load()
        try Daemon(configuration, Log("\(configuration.interface.name)", .information)).run(key)
    }
}
