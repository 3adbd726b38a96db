import Addresses
import Keys

extension Configuration {
    /// Reads the text of a config file.
    ///
    /// - Parameters:
    ///   - text: all of it.
    ///   - file: the path for the diagnostics, and for relative paths inside.
    ///   - name: the interface's name, which is the file's without `.conf`.
    /// - Returns: the configuration, or `nil` if there is an error; and *everything* that is wrong, by line.
    public static func parse(text: String, file: String, name: String) -> (Configuration?, [Diagnostic]) {
        var parser = ConfigurationParser(file: file)
        let configuration = parser.parse(text, name: name)
        let sorted = parser.diagnostics.enumerated().sorted { a, b in
            (a.element.line ?? 0, a.offset) < (b.element.line ?? 0, b.offset)
        }
        let diagnostics = sorted.map(\.element)
        return (diagnostics.hasErrors ? nil : configuration, diagnostics)
    }
}

/// First sorts the lines into sections, then types each section's entries, then compares sections.
struct ConfigurationParser {
    /// A line that belongs to the section it stands in.
    struct Entry {
        let key: ConfigurationKey
        let value: String
        let line: Int
    }

    /// A section with what was written in it. All `[Interface]` sections of a file are one.
    struct Section {
        /// The line of the header.
        let line: Int
        var entries: [Entry] = []

        func first(_ key: ConfigurationKey) -> Entry? { entries.first { $0.key == key } }
    }

    let file: String
    private(set) var diagnostics: [Diagnostic] = []
    private(set) var interfaceSection: Section?
    private(set) var peerSections: [Section] = []

    init(file: String) { self.file = file }

    mutating func parse(_ text: String, name: String) -> Configuration? {
        guard !Self.isUTF16(text) else {
            report(.error, line: nil, "file is UTF-16", cure: "save it as UTF-8")
            return nil
        }
        collect(ConfigurationLine.lines(of: text))
        let interface = readInterface(name: name)
        let peers = peerSections.map { readPeer($0) }
        compare(interface, peers, peerSections)
        guard let interface else { return nil }
        return Configuration(file: file, interface: interface, peers: peers.compactMap { $0 })
    }

    /// Whether the text was two bytes a character, as it looks after it was read as UTF-8: its mark is repaired, or there
    /// is none and every other byte is zero.
    private static func isUTF16(_ text: String) -> Bool {
        text.hasPrefix("\u{FFFD}\u{FFFD}") || text.utf8.prefix(2).contains(0)
    }

    mutating func report(_ diagnostic: Diagnostic) { diagnostics.append(diagnostic) }

    mutating func report(
        _ severity: Diagnostic.Severity, line: Int?, text: String? = nil, _ message: String, cure: String
    ) {
        report(Diagnostic(severity, file: file, line: line, text: text, message: message, cure: cure))
    }

    /// Reports a refused value; `nil` then.
    mutating func value<Value>(_ line: Int, _ read: () throws(Rejection) -> Value) -> Value? {
        do throws(Rejection) {
            return try read()
        } catch {
            report(.error, line: line, text: error.text, error.message, cure: error.cure)
            return nil
        }
    }
}

// MARK: - Lines into sections

extension ConfigurationParser {
    private mutating func collect(_ lines: [ConfigurationLine]) {
        /// `nil` before the first header and under an unknown one, whose lines are not reported again one by one.
        var section: ConfigurationSection?
        var isUnderUnknown = false
        for line in lines {
            switch line.content {
            case .section(let header):
                section = ConfigurationSection(header: header)
                isUnderUnknown = section == nil
                switch section {
                case .interface: interfaceSection = interfaceSection ?? Section(line: line.number)
                case .peer: peerSections.append(Section(line: line.number))
                case nil:
                    report(
                        .error, line: line.number, text: header, "unknown section",
                        cure: "only [Interface] and [Peer] exist")
                }
            case .unreadable(let text):
                report(
                    .error, line: line.number, text: text.utf8.count >= 40 ? nil : text,
                    "line is neither a section nor a key",
                    cure: "write [Section], Key = value, or a comment after #")
            case .entry(let key, let value):
                if !isUnderUnknown { collect(key: key, value: value, line: line.number, in: section) }
            }
        }
    }

    private mutating func collect(key text: String, value: String, line: Int, in section: ConfigurationSection?) {
        guard let key = ConfigurationKey(written: text) else {
            // A private key on a line of its own reads as a key with an empty value: it must not be shown.
            let mayBeSecret = text.utf8.count >= 40
            let nearest = mayBeSecret ? .privateKey : ConfigurationKey.nearest(to: text)
            report(
                .error, line: line, text: mayBeSecret ? nil : text, "unknown key",
                cure: nearest.map { "did you mean \"\($0.rawValue)\"?" }
                    ?? "docs/configuration.md has all keys; a comment begins with #")
            return
        }
        guard key.belongs(in: section) else {
            let problem = section == nil ? "key before any section" : "key in the wrong section"
            report(.error, line: line, text: text, problem, cure: "move it to \(key.section.rawValue)")
            return
        }
        let seen = section == .interface ? interfaceSection?.first(key) : peerSections.last?.first(key)
        if let seen, !key.mayRepeat {
            report(
                .error, line: line, text: text, "key repeated",
                cure: "line \(seen.line) has it already; remove one of them")
            return
        }
        // Of [Interface] it is: the memory for all peers.
        if key != .historyMemory || section == .peer, let feature = UnbuiltFeature.asked(by: key, value: value) {
            report(
                .error, line: line, text: "\(key.rawValue) = \(value)", "not in this version", cure: feature.cure)
            return
        }
        let entry = Entry(key: key, value: value, line: line)
        if section == .interface {
            interfaceSection?.entries.append(entry)
        } else {
            peerSections[peerSections.count - 1].entries.append(entry)
        }
    }
}
