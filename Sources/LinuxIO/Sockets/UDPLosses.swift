import Glibc

/// What the kernel says of UDP in this network namespace, all sockets together (`/proc/net/snmp`, `snmp6`).
///
/// A socket has one counter for all that it lost before it was received. These tell what of it was lost for which reason.
public struct UDPLosses: Sendable {
    /// The receive buffer was full.
    public var overflows: UInt64 = 0
    /// The checksum was wrong.
    public var checksums: UInt64 = 0

    /// None.
    public init() {}

    fileprivate init(v4 first: [[Substring]], v6 second: [[Substring]]) {
        let v4 = first.filter { $0.first == "Udp:" }
        if v4.count == 2 {
            for (name, value) in zip(v4[0], v4[1]) { count(name, value) }
        }
        for line in second where line.count == 2 && line[0].hasPrefix("Udp6") {
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
}

/// The files with these counters, of the network namespace in which they were opened.
public struct UDPLossFiles: ~Copyable, Sendable {
    /// -1 where there is none.
    private let v4: FileDescriptor
    private let v6: FileDescriptor

    public init() {
        v4 = FileDescriptor(owning: unsafe open("/proc/thread-self/net/snmp", O_RDONLY | O_CLOEXEC))
        v6 = FileDescriptor(owning: unsafe open("/proc/thread-self/net/snmp6", O_RDONLY | O_CLOEXEC))
    }

    /// As of now; zeros if the files can't be read.
    public func read() -> UDPLosses { UDPLosses(v4: Self.words(of: v4.raw), v6: Self.words(of: v6.raw)) }

    /// The lines of a file, as words.
    private static func words(of file: Int32) -> [[Substring]] {
        var text: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = unsafe pread(file, &part, part.count, off_t(text.count))
            guard count > 0 else { break }
            text += part.prefix(count)
        }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").map {
            $0.split { $0 == " " || $0 == "\t" }
        }
    }
}
