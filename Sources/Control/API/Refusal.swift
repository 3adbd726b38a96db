/// What the control socket answers when it does not do what was asked (`docs/control-api.md`).
public struct Refusal: Codable, Hashable, Sendable {
    /// A word for programs; a contract.
    public var code: String
    /// A line for people: what is wrong.
    public var text: String
    /// What to do about it; absent if there is nothing to advise.
    public var cure: String?

    public init(code: String, text: String, cure: String? = nil) {
        self.code = code
        self.text = text
        self.cure = cure
    }

    /// Text and cure in one line.
    public var line: String { cure.map { "\(text); \($0)" } ?? text }
}
