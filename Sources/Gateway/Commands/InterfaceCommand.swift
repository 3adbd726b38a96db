import ArgumentParser
import Control
import Glibc
import LinuxIO
import Steward

/// `gateway NAME`: in the place of wireguard-go.
struct InterfaceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "interface",
        abstract: "Make an interface that wg(8) configures, as wireguard-go does (also without this word).",
        discussion: """
            Makes the interface, down and without addresses, listens on /var/run/wireguard/NAME.sock and goes to the \
            background. It ends when the interface is deleted or the socket's file is removed. LOG_LEVEL is verbose, \
            error (the default) or silent. Without the word "interface", a name that looks like a command or is a file's \
            is refused.
            """)

    @Flag(name: .shortAndLong, help: "Stay in the foreground.")
    var foreground = false

    @OptionGroup var rights: RightsOption

    @Argument(help: "The interface's name.")
    var name: String

    func run() throws {
        if let mistake = Self.mistake(name, isAlone: true) { throw Failure(.usage, mistake) }
        guard let name = InterfaceName(name) else {
            throw Failure(.usage, "\"\(name)\" can't be an interface's name: 1 to 15 of a-z A-Z 0-9 _ = + . -")
        }
        let device = try Self.device(name)
        // One that was handed over may have another name than the caller thinks.
        let socket = try Self.socket(name)
        guard foreground || Environment["WG_PROCESS_FOREGROUND"] == "1" else {
            return try Background.start(device: device.descriptor, socket: socket.raw)
        }
        let configuration = Configuration(file: "", interface: .init(name: name, privateKey: .unset))
        let daemon: Daemon
        do throws(Failure) {
            daemon = try Daemon(configuration, Log(name.description, .errors), isConfined: rights.isConfined)
        } catch {
            _ = unsafe unlink(UAPISocket.path(of: name))
            throw error
        }
        try daemon.serve(device, socket, whenReady: Background.tellReady)
        try daemon.leave()
    }

    /// The mistake in a word in the place of the name, unless it stands behind `interface`, where it is meant.
    static func mistake(_ word: String, isAlone: Bool) -> String? {
        guard CommandLine.arguments.dropFirst().first(where: { !$0.hasPrefix("-") }) != configuration.commandName,
            let mistake = MistakenName(word, isFile: TextFile.isFile(word), isAlone: isAlone)
        else { return nil }
        let wayOut = InterfaceName(word).map { " (an interface of that name: gateway interface \($0))" } ?? ""
        return "\"\(Diagnostic.printable(word))\" \(mistake.explanation)\(wayOut)"
    }

    /// The interface: made, or taken over from `WG_TUN_FD`.
    private static func device(_ name: InterfaceName) throws(Failure) -> TunDevice {
        if let descriptor = try Environment.descriptor("WG_TUN_FD") {
            let device = try Failure.from(.unavailable) { () throws(SystemError) in
                try TunDevice(adopting: FileDescriptor(owning: descriptor))
            }
            guard device.kind == .tun else {
                throw Failure(.usage, "WG_TUN_FD is of a TAP device; Ethernet takes gateway run and Mode = tap")
            }
            return device
        }
        let device = try Daemon.makeDevice(name, .tun)
        let index = device.index
        try Failure.from(.unavailable) { () throws(SystemError) in
            var netlink = try Netlink()
            // A link-local address would make the kernel send into the tunnel on its own.
            try? netlink.disableLinkLocalAddress(of: index)
            try netlink.setMTU(1420, of: index)
        }
        return device
    }

    /// The listening socket: made, or taken over from `WG_UAPI_FD`.
    private static func socket(_ name: InterfaceName) throws(Failure) -> LinuxIO.FileDescriptor {
        if let descriptor = try Environment.descriptor("WG_UAPI_FD") {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            return LinuxIO.FileDescriptor(owning: descriptor)
        }
        return try UAPIServer.open(name) { () throws(SystemError) in try UAPISocket.open(name) }
    }
}

/// This program, started again without the shell.
private enum Background {
    /// The end of a pipe in which to tell that all is ready.
    private static let readiness = "GATEWAY_READY_FD"

    /// Runs it with the two descriptors and lets it go when it is ready; if it never is, ends as it did. Threads do not
    /// survive a fork, so it begins anew.
    static func start(device: Int32, socket: Int32) throws(Failure) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else {
            throw Failure(.unavailable, SystemError("go to the background", number: errno))
        }
        let (reading, writing) = (ends[0], ends[1])
        _ = fcntl(reading, F_SETFD, FD_CLOEXEC)
        for descriptor in [device, socket] { _ = fcntl(descriptor, F_SETFD, 0) }
        unsafe setenv("WG_TUN_FD", "\(device)", 1)
        unsafe setenv("WG_UAPI_FD", "\(socket)", 1)
        unsafe setenv("WG_PROCESS_FOREGROUND", "1", 1)
        unsafe setenv(readiness, "\(writing)", 1)

        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // A signal that comes before it waits for signals must not end it half-way.
        var waiting = sigset_t()
        unsafe sigemptyset(&waiting)
        for signal in [SIGTERM, SIGINT] { unsafe sigaddset(&waiting, signal) }
        unsafe posix_spawnattr_setsigmask(&attributes, &waiting)
        let newSession: Int16 = 0x80
        unsafe posix_spawnattr_setflags(&attributes, newSession | Int16(POSIX_SPAWN_SETSIGMASK))

        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe CommandLine.arguments.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        var process = pid_t()
        let failure = unsafe posix_spawn(&process, "/proc/self/exe", &actions, &attributes, &arguments, environ)
        guard failure == 0 else {
            throw Failure(.unavailable, SystemError("go to the background", number: failure), cure: "use --foreground")
        }
        close(writing)
        var byte: UInt8 = 0
        var length: Int
        repeat { length = unsafe read(reading, &byte, 1) } while length < 0 && errno == EINTR
        guard length < 1 else { return }
        // It has said why.
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        exit(status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f)
    }

    /// Lets the command that began us end.
    static func tellReady(_ steward: Steward) {
        guard let text = Environment[readiness], let descriptor = Int32(text) else { return }
        unsafe unsetenv(readiness)
        if Log.Level.wanted ?? .silent == .silent {
            // Nobody asked for a log: the shell's pipes must not wait for us.
            steward.releaseOutput()
        }
        var byte: UInt8 = 1
        _ = unsafe write(descriptor, &byte, 1)
        close(descriptor)
    }
}

/// The variables that wireguard-go knows too.
enum Environment {
    static subscript(name: String) -> String? {
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }

    /// The number of an open descriptor, if the variable is set.
    static func descriptor(_ name: String) throws(Failure) -> Int32? {
        guard let text = self[name], !text.isEmpty else { return nil }
        guard let descriptor = Int32(text), descriptor > STDERR_FILENO, fcntl(descriptor, F_GETFD) >= 0 else {
            throw Failure(.usage, "\(name)=\(text) is not the number of an open descriptor")
        }
        return descriptor
    }
}
