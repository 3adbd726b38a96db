import ArgumentParser
import Control
import Glibc

/// `gatewayctl`: keys, statistics, everything that a person does with a gateway.
@main
struct GatewayControl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gatewayctl",
        abstract: "Keys, config files and statistics of WireGuard-compatible gateways.",
        version: Release.version,
        subcommands: [
            Keygen.self, Genkey.self, Pubkey.self, Genpsk.self, Link.self, Invite.self, Join.self, PeerCommand.self,
            KeyCommand.self,
            PresharedKeyCommand.self,
            Reload.self, Upgrade.self, Stats.self, Show.self, Top.self, Events.self, TraceCommand.self,
            CaptureCommand.self, DashboardCommand.self, Diagnose.self, Ping.self, EstimateCommand.self,
        ])

    /// As ArgumentParser's own, but an error is one line.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            // A command that has complained by itself ends with an ExitCode.
            let isComplaint = exitCode(for: error) == .validationFailure && !(error is ExitCode)
            guard isComplaint else { exit(withError: error) }
            Terminal.complain("\(message(for: error)); see: gatewayctl --help")
            exit(withError: ExitCode(ExitStatus.usage.rawValue))
        }
    }
}

/// A subcommand that says what failed in one line and exits as sysexits has it.
protocol GatewayCommand: ParsableCommand {
    func perform() throws(Failure)
}

extension GatewayCommand {
    func run() throws {
        do throws(Failure) {
            try perform()
        } catch {
            Terminal.complain(error.message)
            throw ExitCode(error.status.rawValue)
        }
    }
}

/// Runs what fails with a file's or a daemon's error, as a command's failure.
func reporting<Result>(_ body: () throws(FileFailure) -> Result) throws(Failure) -> Result {
    do throws(FileFailure) { return try body() } catch { throw Failure(error) }
}

func reporting<Result>(_ body: () throws(ControlError) -> Result) throws(Failure) -> Result {
    do throws(ControlError) { return try body() } catch { throw Failure(error) }
}
