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

    /// The counters in the text of the two files, of either of which there may be none.
    public init(snmp v4: Span<UInt8>, snmp6 v6: Span<UInt8>) {
        // Two lines begin with "Udp:", the first with the names, the second with the values in the same order.
        var names: Words?
        var lines = Lines()
        while let line = lines.next(in: v4) {
            var words = line
            guard let first = words.next(in: v4), v4.says("Udp:", at: first) else { continue }
            guard var heads = names else {
                names = words
                continue
            }
            while let name = heads.next(in: v4), let value = words.next(in: v4) {
                count(v4.number(at: value), if: v4.says("RcvbufErrors", at: name), v4.says("InCsumErrors", at: name))
            }
            break
        }
        // Each line has a name and its value.
        lines = Lines()
        while let line = lines.next(in: v6) {
            var words = line
            guard let name = words.next(in: v6), let value = words.next(in: v6) else { continue }
            count(
                v6.number(at: value), if: v6.says("Udp6RcvbufErrors", at: name), v6.says("Udp6InCsumErrors", at: name))
        }
    }

    private mutating func count(_ value: UInt64, if isOverflow: Bool, _ isChecksum: Bool) {
        if isOverflow { overflows &+= value }
        if isChecksum { checksums &+= value }
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

    /// As of now; zeros if the files can't be read. The data thread asks every second: there is nothing to allocate in it.
    public func read() -> UDPLosses {
        var first = InlineArray<16_384, UInt8>(repeating: 0)
        var second = first
        let v4 = Self.read(v4.raw, into: first.mutableSpan)
        let v6 = Self.read(v6.raw, into: second.mutableSpan)
        return UDPLosses(snmp: first.span.extracting(first: v4), snmp6: second.span.extracting(first: v6))
    }

    /// The size of what was read, in bytes; what is longer than `text` is cut.
    private static func read(_ file: Int32, into text: consuming MutableSpan<UInt8>) -> Int {
        unsafe text.withUnsafeMutableBytes { text in
            var size = 0
            while size < text.count {
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: text[size...])
                let count = unsafe pread(file, rest.baseAddress, rest.count, off_t(size))
                guard count > 0 else { break }
                size += count
            }
            return size
        }
    }
}

/// The words that are still to come of a line.
private struct Words {
    var rest: Range<Int>

    mutating func next(in text: Span<UInt8>) -> Range<Int>? {
        var start = rest.lowerBound
        while start < rest.upperBound, text[start].isBlank { start += 1 }
        var end = start
        while end < rest.upperBound, !text[end].isBlank { end += 1 }
        rest = end..<rest.upperBound
        return start < end ? start..<end : nil
    }
}

/// The lines that are still to come of a text.
private struct Lines {
    var start = 0

    mutating func next(in text: Span<UInt8>) -> Words? {
        guard start < text.count else { return nil }
        var end = start
        while end < text.count, text[end] != UInt8(ascii: "\n") { end += 1 }
        defer { start = end + 1 }
        return Words(rest: start..<end)
    }
}

extension UInt8 {
    fileprivate var isBlank: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }
}

extension Span<UInt8> {
    fileprivate func says(_ word: StaticString, at place: Range<Int>) -> Bool {
        guard place.count == word.utf8CodeUnitCount else { return false }
        for index in 0..<place.count where unsafe self[place.lowerBound + index] != word.utf8Start[index] {
            return false
        }
        return true
    }

    /// The decimal number there; 0 where there is none.
    fileprivate func number(at place: Range<Int>) -> UInt64 {
        var number: UInt64 = 0
        for index in place {
            guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= self[index] else { return 0 }
            number = number &* 10 &+ UInt64(self[index] - UInt8(ascii: "0"))
        }
        return number
    }
}
