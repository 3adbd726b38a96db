import Glibc

/// `gatewayctl events`: an event as a line for people.
public enum EventText {
    /// In the time zone of the machine.
    public static func line(_ event: GatewayEvent, ink: Ink = .none) -> String {
        let level =
            switch event.level {
            case .info: "info"
            case .warning: ink.paint("warning", .yellow)
            case .error: ink.paint("error", .red)
            }
        let space = String(repeating: " ", count: max(1, 8 - event.level.rawValue.count))
        let kind = event.kind + String(repeating: " ", count: max(1, 12 - event.kind.count))
        return "\(time(event.time))  \(level)\(space)\(kind)\(event.text)"
    }

    /// `2026-01-31 12:00:00`.
    public static func time(_ seconds: Double) -> String {
        var moment = time_t(seconds)
        var parts = unsafe tm()
        unsafe localtime_r(&moment, &parts)
        let (year, month, day) = unsafe (parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday)
        let (hour, minute, second) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(year)-\(two(month))-\(two(day)) \(two(hour)):\(two(minute)):\(two(second))"
    }
}
