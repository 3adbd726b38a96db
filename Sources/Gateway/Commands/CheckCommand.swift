import ArgumentParser

/// `gateway check`: what is wrong with a file.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Say all that is wrong with a configuration, and change nothing.")

    @OptionGroup var file: ConfigurationOption

    func run() throws { _ = try file.load() }
}
