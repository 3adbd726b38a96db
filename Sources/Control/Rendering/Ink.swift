/// Colours for a terminal, or none. The codes are those of `wg`, so that the same eyes find the same things.
public struct Ink: Sendable {
    private let isOn: Bool

    public static let none = Ink(isOn: false)
    public static let colors = Ink(isOn: true)

    private init(isOn: Bool) { self.isOn = isOn }

    /// As `wg` decides: `WG_COLOR_MODE` is `always`, `never` or else automatic, which asks for a terminal.
    public static func choose(mode: String?, isTerminal: Bool) -> Ink {
        switch mode {
        case "always": .colors
        case "never": .none
        default: isTerminal ? .colors : .none
        }
    }

    public enum Color: String, Sendable {
        case red = "\u{1b}[31m"
        case green = "\u{1b}[32m"
        case yellow = "\u{1b}[33m"
        case cyan = "\u{1b}[36m"
    }

    private static let boldCode = "\u{1b}[1m"
    private static let resetCode = "\u{1b}[0m"

    public func paint(_ text: String, _ color: Color, bold: Bool = false) -> String {
        isOn ? color.rawValue + (bold ? Self.boldCode : "") + text + Self.resetCode : text
    }

    public func bold(_ text: String) -> String { isOn ? Self.boldCode + text + Self.resetCode : text }

    /// Back to plain, which `wg` says once before each interface.
    public var reset: String { isOn ? Self.resetCode : "" }
}
