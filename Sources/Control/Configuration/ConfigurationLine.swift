/// One line of a config file that says something, cut as `wg` and wg-quick cut it.
struct ConfigurationLine {
    enum Content {
        /// A header as written, `[Peer]`.
        case section(String)
        /// A key and its value as written, both trimmed.
        case entry(key: String, value: String)
        /// Neither.
        case unreadable(String)
    }

    /// From 1.
    let number: Int
    let content: Content
}

extension ConfigurationLine {
    /// The lines of a file; empty lines and comments are left out.
    static func lines(of text: String) -> [ConfigurationLine] {
        rawLines(of: text).enumerated().compactMap { index, line in
            content(of: line).map { ConfigurationLine(number: index + 1, content: $0) }
        }
    }

    /// The lines as they stand. Cut at the byte: "\r\n" is one character and would hide the line feed.
    static func rawLines(of text: String) -> [Substring] {
        text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Substring($0) }
    }

    /// The content of a line; `nil` if it says nothing.
    static func content(of line: Substring) -> Content? {
        let (said, isOurs) = withoutComment(line)
        guard !said.isEmpty else { return nil }
        if let equals = said.firstIndex(of: "=") {
            let key = said[..<equals].trimmed
            let value = said[said.index(after: equals)...].trimmed
            if said.first != "[" { return .entry(key: String(key), value: String(value)) }
        }
        // Somebody's own comment may begin with "#:" too; without an "=" it asks for nothing.
        if isOurs { return nil }
        return said.first == "[" ? .section(String(said)) : .unreadable(String(said))
    }

    /// The text before the comment, and whether the line is of the form `#: Key = value`.
    static func withoutComment(_ line: Substring) -> (said: Substring, isOurs: Bool) {
        var line = line.trimmed
        let isOurs = line.hasPrefix("#:")
        if isOurs { line = line.dropFirst(2) }
        return (line.prefix { $0 != "#" }.trimmed, isOurs)
    }
}
