import Control
import Glibc
import LinuxIO
import Synchronization

/// Begins the process that is to take the daemon's place, with the steward's rights, and ends it again if it does not.
///
/// The daemon may ask for it and does not say which program: that is this one's own, or what stands in a file that only root can have
/// written, `NAME.upgrade` beside the control socket.
final class SuccessorRunner: Sendable {
    /// How the successor is told the descriptor of its channel.
    static let variable = "GATEWAY_SUCCESSION_FD"

    private let wish: String
    private let own: String
    private let words: [String]
    private let environment: [String]
    private let process = Mutex<ProcessApart?>(nil)

    /// `environment` is what the successor needs besides ours.
    init(_ configuration: Configuration, control: String, isConfined: Bool, environment: [String]) {
        wish = UpgradeWish.path(beside: control)
        own = Self.ownProgram()
        let file = configuration.file
        words =
            ["takeover"] + (file.isEmpty ? ["--interface", "\(configuration.interface.name)"] : ["--config", file])
            + (isConfined ? [] : ["--no-sandbox"])
        self.environment = environment
    }

    /// Begins it; our end of the channel to it. The failure is a line.
    func begin() -> Result<MessageChannel, Refused> {
        do throws(Refused) { return .success(try run()) } catch { return .failure(error) }
    }

    /// Kills it, and waits for that.
    func end() {
        process.withLock { process in
            process?.kill(milliseconds: 2000)
            process = nil
        }
    }

    struct Refused: Error {
        let line: String
    }

    private func run() throws(Refused) -> MessageChannel {
        let path = try UpgradeWish.take(wish) ?? own
        let program = try Self.open(path)
        do throws(SystemError) {
            let (ours, its) = try MessageChannel.pair()
            let environment = Self.inherited() + environment + ["\(Self.variable)=\(its.descriptor)"]
            let made = try ProcessApart(
                program: program, words: [path] + words, environment: environment, channel: its.descriptor)
            store(made)
            return ours
        } catch {
            throw Refused(line: "\(error)")
        }
    }

    private func store(_ made: consuming sending ProcessApart) {
        var made: ProcessApart? = consume made
        process.withLock { $0 = made.take() }
    }

    /// A program that belongs to root and that nobody else can write.
    private static func open(_ path: String) throws(Refused) -> FileDescriptor {
        let file = FileDescriptor(owning: unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK))
        guard file.raw >= 0 else { throw Refused(line: "can't open \(path): \(SystemError.text(of: errno))") }
        var status = stat()
        guard unsafe fstat(file.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o111 != 0
        else { throw Refused(line: "\(path) is no program") }
        guard status.st_uid == 0, status.st_mode & 0o022 == 0 else {
            throw Refused(line: "\(path) must belong to root, and nobody else may write it")
        }
        return file
    }

    private static func ownProgram() -> String {
        var target = [CChar](repeating: 0, count: 4096)
        let length = unsafe readlink("/proc/self/exe", &target, target.count)
        let bytes = target.prefix(max(length, 0)).map { UInt8(bitPattern: $0) }
        let path = String(decoding: bytes, as: UTF8.self)
        // What was replaced since is what is wanted.
        let suffix = " (deleted)"
        return path.hasSuffix(suffix) ? String(path.dropLast(suffix.utf8.count)) : path
    }

    private static func inherited() -> [String] {
        var variables: [String] = []
        var next = unsafe environ
        while let text = unsafe next.pointee {
            unsafe variables.append(String(cString: text))
            unsafe next += 1
        }
        return variables
    }
}

/// The program that an upgrade is to run, in a file that only root can have written.
public enum UpgradeWish {
    /// Where it stands.
    public static func path(beside control: String) -> String {
        (control.hasSuffix(".sock") ? String(control.dropLast(5)) : control) + ".upgrade"
    }

    /// The path in it, which must be absolute; the file is gone then. `nil` if there is none.
    static func take(_ wish: String) throws(SuccessorRunner.Refused) -> String? {
        let file = FileDescriptor(owning: unsafe open(wish, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK))
        guard file.raw >= 0 else { return nil }
        defer { _ = unsafe unlink(wish) }
        var status = stat()
        guard unsafe fstat(file.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == 0,
            status.st_mode & 0o022 == 0
        else { throw SuccessorRunner.Refused(line: "\(wish) must belong to root, and nobody else may write it") }
        var text = [UInt8](repeating: 0, count: 4096)
        let length = unsafe text.withUnsafeMutableBytes { unsafe read(file.raw, $0.baseAddress, $0.count) }
        let path = String(decoding: text.prefix(max(length, 0)), as: UTF8.self).split { $0.isNewline }.first ?? ""
        guard path.hasPrefix("/") else { throw SuccessorRunner.Refused(line: "\(wish) names no program") }
        return String(path)
    }
}
