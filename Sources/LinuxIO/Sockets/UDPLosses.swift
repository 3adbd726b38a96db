import Glibc

/// What the kernel says of UDP in this network namespace, all sockets together (`/proc/net/snmp`, `snmp6`).
///
/// A socket has one counter for all that it lost before it was received. These tell what of it was lost for which reason.
public struct UDPLosses: Sendable {
    /// The receive buffer was full.
    public var overflows: UInt64 = 0
    /// The checksum was wrong.
    public var checksums: UInt64 = 0

    /// As of now; zeros if the files can't be read.
    public init() {
        let v4 = Self.read("/proc/thread-self/net/snmp").filter { $0.first == "Udp:" }
        if v4.count == 2 {
            for (name, value) in zip(v4[0], v4[1]) { count(name, value) }
        }
        for line in Self.read("/proc/thread-self/net/snmp6") where line.count == 2 && line[0].hasPrefix("Udp6") {
            count(line[0].dropFirst(4), line[1])
        }
    }

    private mutating func count(_ name: Substring, _ value: Substring) {
        switch name {
        case "RcvbufErrors": overflows += UInt64(value) ?? 0
        case "InCsumErrors": checksums += UInt64(value) ?? 0
        default: break
        }
    }

    /// What of `dropped`, a socket's own count since `start`, had a wrong checksum.
    public func checksums(of dropped: UInt64, since start: UDPLosses) -> UInt64 {
        let full = overflows &- start.overflows
        return min(dropped - min(dropped, full), checksums &- start.checksums)
    }

    /// The lines of a file, as words.
    private static func read(_ path: String) -> [[Substring]] {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var text: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = unsafe Glibc.read(file, &part, part.count)
            guard count > 0 else { break }
            text += part.prefix(count)
        }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").map {
            $0.split { $0 == " " || $0 == "\t" }
        }
    }
}
