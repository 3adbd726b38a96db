import ArgumentParser
import Control
import Glibc
import Keys
import LinuxIO
import Steward
import Synchronization

/// `gateway takeover`: what a running gateway begins by itself, to have another process take its place.
struct TakeoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "takeover", abstract: "Take the place of a running gateway, which begins this by itself.",
        shouldDisplay: false)

    /// The descriptor of the channel to the other.
    private static let variable = "GATEWAY_SUCCESSION_FD"

    @Option(name: .long)
    var config: String?

    @Option(name: .long)
    var interface: String?

    @OptionGroup var rights: RightsOption

    func run() throws {
        guard let descriptor = try Environment.descriptor(Self.variable) else {
            throw Failure(.usage, "takeover is begun by a running gateway: gatewayctl upgrade")
        }
        unsafe unsetenv(Self.variable)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        nameProcess("gateway")
        let channel = MessageChannel(adopting: FileDescriptor(owning: descriptor))
        let (daemon, key) = try refusing(channel) { try prepare() }
        do throws(Failure) {
            try refusing(channel) { () throws(Failure) in try daemon.takeOver(key, from: channel) }
        } catch {
            daemon.tellEnd(error.status.rawValue)
            throw error
        }
        if daemon.isHandedOver { return try daemon.leave() }
        daemon.tellEnd(0)
    }

    private func prepare() throws -> (Daemon, PrivateKey?) {
        if let interface {
            guard let name = InterfaceName(interface) else { throw Failure(.usage, "\(interface) is no name") }
            let configuration = Configuration(file: "", interface: .init(name: name, privateKey: .unset))
            return (
                try Daemon(configuration, Log(interface, .errors), isConfined: rights.isConfined), nil
            )
        }
        guard let config else { throw Failure(.usage, "takeover takes --config or --interface") }
        var file = ConfigurationOption()
        file.config = config
        let (configuration, key) = try file.load()
        let log = Log("\(configuration.interface.name)", .information)
        return (try Daemon(configuration, log, isConfined: rights.isConfined), key)
    }

    /// Tells the other why this one can't.
    private func refusing<Value, Reason: Error>(
        _ channel: MessageChannel, _ body: () throws(Reason) -> Value
    ) throws(Reason) -> Value {
        do throws(Reason) {
            return try body()
        } catch {
            let (status, line) =
                (error as? Failure).map { ($0.status.rawValue, $0.message) }
                ?? ((error as? ExitCode)?.rawValue ?? ExitStatus.software.rawValue, "the file has errors")
            try? channel.send(SuccessionMessage.refused(status, line).bytes)
            throw error
        }
    }
}

extension Daemon {
    /// Ends this process, which another has taken the place of; where nobody was told of the other, it stays until that ends.
    func leave() throws {
        let status = depart()
        if status != 0 { throw ExitCode(status) }
    }

    /// Tells the process that stayed for the sake of its number how this one ended.
    func tellEnd(_ status: Int32) {
        guard let keeper = keeper.withLock({ $0 }) else { return }
        try? keeper.send(SuccessionMessage.ended(status).bytes)
    }
}
