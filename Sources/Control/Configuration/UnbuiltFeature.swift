/// A key or value that the design has and this version doesn't: known, so that the answer is plain.
///
/// Whoever builds a feature removes its entry here and gives the value a place in `Configuration`.
struct UnbuiltFeature {
    let key: ConfigurationKey
    let condition: Condition
    let cure: String

    enum Condition {
        /// These values ask for it (lowercase).
        case values(Set<String>)
        /// Every value but these does.
        case allBut(Set<String>)
    }

    static let all: [UnbuiltFeature] = [
        .init(key: .historyMemory, condition: .allBut(["0"]), cure: "use 0, or remove the line")
    ]

    /// The entry that a line asks for, if any.
    static func asked(by key: ConfigurationKey, value: String) -> UnbuiltFeature? {
        let value = value.lowercased()
        return all.first { feature in
            guard feature.key == key else { return false }
            return switch feature.condition {
            case .values(let values): values.contains(value)
            case .allBut(let values): !values.contains(value)
            }
        }
    }
}
