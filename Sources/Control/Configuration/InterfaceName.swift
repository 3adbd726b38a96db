/// The name of a network interface, and of the config file that describes it: `[a-zA-Z0-9_=+.-]{1,15}`, as in
/// wg-quick. Linux allows no more than 15 bytes (IFNAMSIZ).
public struct InterfaceName: Hashable, Sendable {
    private let text: String
}

extension InterfaceName: LosslessStringConvertible {
    /// `nil` if the name breaks the rule, or is `.` or `..`, which no interface and no file may be called.
    public init?(_ text: some StringProtocol) {
        guard (1...15).contains(text.utf8.count), text != ".", text != ".." else { return nil }
        let isAllowed = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "_=+.-".utf8.contains(byte)
            }
        }
        guard isAllowed else { return nil }
        self.text = String(text)
    }

    public var description: String { text }

    /// The last part of a path without `.conf`: what the interface of that file is called. Not checked against the rule.
    public static func stem(ofFile path: String) -> String {
        let last = path.split(separator: "/", omittingEmptySubsequences: true).last ?? ""
        return String(last.hasSuffix(".conf") ? last.dropLast(5) : last)
    }
}

extension InterfaceName: Comparable {
    public static func < (a: InterfaceName, b: InterfaceName) -> Bool { a.text < b.text }
}
