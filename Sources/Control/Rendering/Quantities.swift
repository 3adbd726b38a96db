/// Numbers as people read them, in the words of `wg`.
public enum Quantities {
    /// `823 B`, `1.37 MiB`; two decimals, rounded as `printf` does it (half to even), TiB at the most.
    public static func bytes(_ count: UInt64, ink: Ink = .none) -> String {
        if count < 1024 { return "\(count) \(ink.paint("B", .cyan))" }
        let units = ["KiB", "MiB", "GiB", "TiB"]
        var index = 0
        var size = UInt128(1024)
        while index < units.count - 1, UInt128(count) >= size << 10 {
            index += 1
            size <<= 10
        }
        var (hundredths, rest) = (UInt128(count) * 100).quotientAndRemainder(dividingBy: size)
        if rest * 2 > size || (rest * 2 == size && hundredths & 1 == 1) { hundredths += 1 }
        return "\(hundredths / 100).\(padded(hundredths % 100)) \(ink.paint(units[index], .cyan))"
    }

    /// `1 year, 2 days, 3 hours, 1 minute, 3 seconds`; nothing for 0.
    public static func duration(_ seconds: UInt64, ink: Ink = .none) -> String {
        let units: [(String, UInt64)] = [
            ("year", 31_536_000), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1),
        ]
        var left = seconds
        var parts: [String] = []
        for (name, size) in units where left >= size {
            let count = left / size
            left %= size
            parts.append("\(count) \(ink.paint(count == 1 ? name : name + "s", .cyan))")
        }
        return parts.joined(separator: ", ")
    }

    /// `1 minute, 3 seconds ago`, `Now`, or a warning if it lies ahead. Both in seconds since 1970.
    public static func ago(_ moment: Int64, now: Int64, ink: Ink = .none) -> String {
        if moment == now { return "Now" }
        guard moment < now else {
            return "(\(ink.paint("System clock wound backward; connection problems may ensue.", .red)))"
        }
        return duration(UInt64(now.subtractingReportingOverflow(moment).partialValue.magnitude), ink: ink) + " ago"
    }

    /// The two largest parts of a duration, for a table: `2 hours, 5 minutes`.
    public static func roughly(_ seconds: UInt64) -> String {
        let parts = duration(seconds).split(separator: ",").prefix(2)
        return parts.isEmpty ? "0 seconds" : parts.joined(separator: ",")
    }

    /// `2.75x`.
    public static func ratio(plain: UInt64, wire: UInt64) -> String {
        guard wire > 0 else { return "-" }
        let hundredths = (UInt128(plain) * 100 + UInt128(wire) / 2) / UInt128(wire)
        return "\(hundredths / 100).\(padded(hundredths % 100))x"
    }

    /// `850 us`, `12.3 ms`.
    public static func roundTrip(microseconds: UInt64) -> String {
        microseconds < 1000
            ? "\(microseconds) us" : "\(microseconds / 1000).\(microseconds % 1000 / 100) ms"
    }

    private static func padded(_ hundredths: UInt128) -> String { hundredths < 10 ? "0\(hundredths)" : "\(hundredths)" }
}
