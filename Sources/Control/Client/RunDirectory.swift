import Glibc

/// The folder with one control socket for each running interface: `/run/gateway`.
public struct RunDirectory: Hashable, Sendable {
    public let path: String

    public init(_ path: String) { self.path = path }

    /// The folder in `GATEWAY_RUN_DIR`, else `/run/gateway`.
    public static var current: RunDirectory {
        guard let value = unsafe getenv("GATEWAY_RUN_DIR") else { return RunDirectory("/run/gateway") }
        let path = unsafe String(cString: value)
        return RunDirectory(path.isEmpty ? "/run/gateway" : path)
    }

    public func socket(of interface: InterfaceName) -> String { "\(path)/\(interface).sock" }

    /// The interfaces whose daemon takes connections, sorted. One that we may not ask counts: asking will say so.
    public func running() -> [InterfaceName] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [InterfaceName] = []
        while let entry = unsafe readdir(folder) {
            let file = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard file.hasSuffix(".sock"), let name = InterfaceName(file.dropLast(5)) else { continue }
            if answers(name) { names.append(name) }
        }
        return names.sorted()
    }

    private func answers(_ name: InterfaceName) -> Bool {
        do throws(ControlError) {
            _ = try UnixStream(interface: name, path: socket(of: name), deadline: .now + .seconds(1))
            return true
        } catch {
            if case .notRunning = error { return false }
            return true
        }
    }
}
