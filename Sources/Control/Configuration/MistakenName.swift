/// A word that stands where an interface's name belongs and was probably meant to be something else.
///
/// `gateway NAME` makes an interface and goes to the background, whatever the name. Someone who mistypes a command should
/// not get one.
public struct MistakenName: Hashable, Sendable {
    /// The mistake and what to write, without the word itself.
    public let explanation: String

    /// `nil` if the word is a sensible name.
    /// - Parameters:
    ///   - isFile: whether there is a file of that name.
    ///   - isAlone: whether nothing else was written, as it is where a name is meant. A word with options behind it is more
    ///     likely a misspelt command.
    public init?(_ word: String, isFile: Bool, isAlone: Bool = true) {
        guard let explanation = Self.explain(word, isFile, isAlone) else { return nil }
        self.explanation = explanation
    }

    private static func explain(_ word: String, _ isFile: Bool, _ isAlone: Bool) -> String? {
        if isPlain(word), isAlone { return nil }
        if isFile || word.hasSuffix(".conf") { return "is a file; to run it: gateway run --config \(word)" }
        if !word.contains(where: { $0.isLetter || $0.isNumber }) { return "is no name for an interface" }
        if word == "all" || word == "default" { return "is what the kernel calls the settings of all interfaces" }
        if let meant = meanings[word] { return meant }
        // Our own words before those of others.
        let words = ["run", "check", "interface"] + controlCommands
        let near = (words + meanings.keys.sorted()).first { isMisspelt(word, $0, isStrict: isAlone) }
        return near.map { "is not a command; did you mean \($0)? It \(meanings[$0] ?? "")" }
    }

    /// Letters and then digits, as in `wg0`: no command and no file is called so.
    private static func isPlain(_ word: String) -> Bool {
        let digits = word.drop { $0.isLetter }
        return !digits.isEmpty && digits.count < word.count && digits.allSatisfy { $0.isNumber }
    }

    /// The commands of both programs, and the words of others for the same.
    private static let meanings: [String: String] = {
        var meanings: [String: String] = [:]
        for command in ["run", "check"] { meanings[command] = "is a command: gateway \(command) --config FILE" }
        meanings["interface"] = "is a command: gateway interface NAME"
        meanings["help"] = "is an option: gateway --help"
        meanings["version"] = "is an option: gateway --version"
        for command in controlCommands { meanings[command] = "is a command of gatewayctl: gatewayctl \(command)" }
        meanings["status"] = "is no command of gateway; statistics: gatewayctl stats"
        for word in ["up", "start"] { meanings[word] = "is no command of gateway; to start: gateway run --config FILE" }
        for word in ["down", "stop"] {
            meanings[word] = "is no command of gateway; it ends by SIGTERM: systemctl stop gateway@NAME"
        }
        meanings["restart"] = "is no command of gateway; as a service: systemctl restart gateway@NAME"
        meanings["reload"] =
            "is a command of gatewayctl: gatewayctl reload; as a service: systemctl reload gateway@NAME"
        return meanings
    }()

    /// The commands of `gatewayctl`.
    public static let controlCommands = [
        "keygen", "genkey", "pubkey", "genpsk", "link", "invite", "join", "peer", "key", "psk", "reload", "upgrade",
        "stats", "show", "top", "events", "trace", "capture", "dashboard", "diagnose",
        "ping", "estimate",
    ]

    /// One letter too many, too few or wrong, or two neighbours the wrong way round. In a short word another letter makes
    /// another word.
    private static func isMisspelt(_ word: String, _ command: String, isStrict: Bool) -> Bool {
        let (a, b) = (Array(word.utf8), Array(command.utf8))
        if a.count == b.count, let first = a.indices.first(where: { a[$0] != b[$0] }), first + 1 < a.count {
            var swapped = a
            swapped.swapAt(first, first + 1)
            if swapped == b { return true }
        }
        guard editDistance(a, b) == 1 else { return false }
        return !isStrict || b.count >= 5 || a.count > 3 && a.count != b.count
    }
}
