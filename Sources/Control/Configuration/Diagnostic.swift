/// One thing that is wrong with a config file: what, where, and what to do.
public struct Diagnostic: Hashable, Sendable {
    public enum Severity: String, Sendable {
        /// The file can't be used.
        case error
        /// A warning: the file can be used, but the reader should know.
        case warning
    }

    public let severity: Severity
    /// The path as the reader gave it.
    public let file: String
    /// From 1; `nil` if the whole file is meant.
    public let line: Int?
    /// The text that was written there. `nil` where nothing was, and always where it may be a secret.
    public let text: String?
    /// The mistake, without a full stop.
    public let message: String
    /// The cure.
    public let cure: String

    public init(
        _ severity: Severity, file: String, line: Int? = nil, text: String? = nil, message: String, cure: String
    ) {
        self.severity = severity
        self.file = file
        self.line = line
        self.text = text
        self.message = message
        self.cure = cure
    }
}

extension Diagnostic: CustomStringConvertible {
    /// One line: `branch.conf:12: error: unknown key "Compresion": did you mean "Compression"?`
    public var description: String {
        let place = line.map { "\(file):\($0)" } ?? file
        let quoted = text.map { " \"\(Self.printable($0))\"" } ?? ""
        return "\(place): \(severity.rawValue): \(message)\(quoted): \(cure)"
    }

    /// At most 80 characters of a foreign text, without anything that would move a terminal's cursor.
    public static func printable(_ text: some StringProtocol) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(80) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return text.unicodeScalars.count > 80 ? result + "…" : result
    }
}

extension Sequence where Element == Diagnostic {
    /// Whether the file can't be used.
    public var hasErrors: Bool { contains { $0.severity == .error } }
}
