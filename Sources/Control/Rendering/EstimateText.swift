/// `gatewayctl estimate`: what a capture came to, for people.
public enum EstimateText {
    /// The columns of a terminal.
    private static let width = 80

    public static func render(_ report: EstimateReport, ink: Ink = .none) -> String {
        var lines = [
            row("capture", "\(report.frames) frames in \(decimal(report.seconds, 1)) s"),
            row("left out", leftOut(report.leftOut)),
            row("compression", "\(report.compression), MTU \(report.mtu)"), "",
        ]
        lines += table(report, ink: ink)
        lines += leftPlain(report, ink: ink)
        lines.append("")
        lines += history(report, ink: ink)
        lines.append("")
        lines += processor(report.total)
        lines.append("")
        lines += links(report, ink: ink)
        return lines.joined(separator: "\n") + "\n"
    }

    private static func table(_ report: EstimateReport, ink: Ink) -> [String] {
        var lines = [ink.bold(line(["", "packets", "bytes", "WireGuard", "gateway", "saved", "CPU"]))]
        for entry in report.protocols { lines.append(line(cells(entry))) }
        var tunnel = cells(report.tunnel)
        for index in [1, 2, 5, 6] { tunnel[index] = "" }
        lines.append(line(tunnel))
        lines.append(ink.bold(line(cells(report.total))))
        return lines
    }

    private static func cells(_ entry: EstimateReport.Row) -> [String] {
        [
            entry.name, "\(entry.packets)", Quantities.bytes(entry.plainBytes), Quantities.bytes(entry.wireGuardBytes),
            Quantities.bytes(entry.gatewayBytes), saved(entry),
            decimal(entry.compressSeconds + entry.decompressSeconds, 3) + " s",
        ]
    }

    /// What units leave that refer to others, in front of a link with a rate.
    private static func history(_ report: EstimateReport, ink: Ink) -> [String] {
        let widths = [0, 12, 12, 12, 8, 12, 8]
        let link = report.history
        let rate = decimal(Double(link.bitsPerSecond) / 1e6, 1)
        let title = "History, in front of \(rate) Mbit/s and \(decimal(link.roundTripMilliseconds, 1)) ms"
        var lines = [
            ink.bold("  " + title),
            ink.bold(line(["", "WireGuard", "units", "by flow", "less", "by hosts", "less"], widths)),
        ]
        for entry in report.protocols + [report.tunnel, report.total] {
            let isTotal = entry == report.total
            let cells = [
                entry.name, Quantities.bytes(entry.wireGuardBytes), Quantities.bytes(entry.unitsBytes),
                Quantities.bytes(entry.historyBytes), less(entry, entry.historyBytes),
                Quantities.bytes(entry.hostsHistoryBytes), less(entry, entry.hostsHistoryBytes),
            ]
            lines.append(isTotal ? ink.bold(line(cells, widths)) : line(cells, widths))
        }
        return lines
    }

    /// How much less that is than units alone leave; of what the gateways say themselves nobody wants to know.
    private static func less(_ entry: EstimateReport.Row, _ bytes: UInt64) -> String {
        guard entry.packets > 0 else { return "" }
        guard entry.unitsBytes > 0 else { return "-" }
        return decimal((1 - Double(bytes) / Double(entry.unitsBytes)) * 100, 1) + " %"
    }

    private static func line(_ cells: [String], _ widths: [Int] = [0, 8, 12, 12, 12, 8, 11]) -> String {
        let columns = zip(cells, widths).dropFirst().map { right($0, $1) }
        return ("  " + left(cells[0], 13) + columns.joined()).trimmingEnd
    }

    /// The cost beyond WireGuard's.
    private static func processor(_ total: EstimateReport.Row) -> [String] {
        let gigabytes = Double(total.plainBytes) / 1e9
        func cost(_ seconds: Double) -> String {
            let each = gigabytes > 0 ? decimal(seconds.magnitude / gigabytes, 1) : "-"
            let comparison = seconds < 0 ? "less" : "more"
            return "\(decimal(seconds.magnitude, 3)) s of CPU \(comparison) than WireGuard, \(each) s per GB"
        }
        return [row("sender", cost(total.compressSeconds)), row("receiver", cost(total.decompressSeconds))]
    }

    private static func links(_ report: EstimateReport, ink: Ink) -> [String] {
        func cells(_ cells: [String]) -> String {
            "  " + left(cells[0], 13) + zip(cells, [0, 13, 13, 13]).dropFirst().map { right($0, $1) }.joined()
        }
        var lines = [ink.bold(cells(["link busy", "WireGuard", "gateway", "saved"]))]
        for link in report.links {
            let times = [link.wireGuardSeconds, link.gatewaySeconds, link.wireGuardSeconds - link.gatewaySeconds]
            lines.append(cells(["\(link.megabitsPerSecond) Mbit/s"] + times.map { decimal($0, 2) + " s" }))
        }
        return lines
    }

    private static func saved(_ entry: EstimateReport.Row) -> String {
        guard entry.wireGuardBytes > 0 else { return "-" }
        let share = 1 - Double(entry.gatewayBytes) / Double(entry.wireGuardBytes)
        return decimal(share * 100, 1) + " %"
    }

    /// The reasons for which packets were not tried, the most frequent first.
    private static func leftPlain(_ report: EstimateReport, ink: Ink) -> [String] {
        var lines: [String] = []
        for entry in report.protocols {
            let seen = entry.leftPlain.filter { $0.value > 0 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            var line = ""
            for (reason, count) in seen {
                let word = "\(reason) \(count)"
                if !line.isEmpty, line.count + word.count + 2 > width - 15 {
                    lines.append(row(entry.name, line + ","))
                    line = word
                } else {
                    line += (line.isEmpty ? "" : ", ") + word
                }
            }
            if !line.isEmpty { lines.append(row(entry.name, line)) }
        }
        return lines.isEmpty ? [] : ["", ink.bold("  left plain")] + lines
    }

    private static func leftOut(_ counts: EstimateReport.LeftOut) -> String {
        let seen = [
            ("cut by the snapshot length", counts.cut), ("not IP", counts.notIP),
            ("multicast or link-local", counts.local), ("too long", counts.tooLong),
            ("unknown link type", counts.unknownLink),
        ].filter { $0.1 > 0 }
        return seen.isEmpty ? "nothing" : seen.map { "\($0.1) \($0.0)" }.joined(separator: ", ")
    }

    /// Rounded to so many digits, without the sign of a zero.
    private static func decimal(_ value: Double, _ digits: Int) -> String {
        let power = (0..<digits).reduce(1) { power, _ in power * 10 }
        let steps = Int64((min(max(value, -1e12), 1e12) * Double(power)).rounded())
        let fraction = "\(Int64(steps.magnitude) % Int64(power))"
        let zeros = String(repeating: "0", count: digits - fraction.count)
        return "\(steps < 0 ? "-" : "")\(Int64(steps.magnitude) / Int64(power)).\(zeros)\(fraction)"
    }

    private static func row(_ label: String, _ value: String) -> String { "  " + left(label, 13) + value }

    private static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }
}

extension String {
    fileprivate var trimmingEnd: String { String(reversed().drop { $0 == " " }.reversed()) }
}
