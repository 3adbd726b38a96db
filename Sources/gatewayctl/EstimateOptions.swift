import Addresses
import ArgumentParser
import Control
import TunnelCore

/// `auto`, or one of the codecs.
struct CompressionChoice: ExpressibleByArgument {
    let name: String
    let mode: CompressionPolicy.Mode

    static let auto = CompressionChoice(name: "auto", mode: .auto)
    private static let all =
        [auto] + Codec.allCases.map { CompressionChoice(name: "\($0)", mode: .codec($0)) }
    static var allValueStrings: [String] { all.map(\.name) }

    private init(name: String, mode: CompressionPolicy.Mode) {
        self.name = name
        self.mode = mode
    }

    init?(argument: String) {
        guard let choice = Self.all.first(where: { $0.name == argument.lowercased() }) else { return nil }
        self = choice
    }

    var defaultValueDescription: String { name }
}

/// A rate as `Rate` takes it, `2.5mbit`.
struct RateChoice: ExpressibleByArgument {
    let bitsPerSecond: UInt64

    static let usual = RateChoice(bitsPerSecond: 20_000_000)

    private init(bitsPerSecond: UInt64) { self.bitsPerSecond = bitsPerSecond }

    init?(argument: String) {
        guard let rate = LinkRate(argument) else { return nil }
        bitsPerSecond = rate.bitsPerSecond
    }

    var defaultValueDescription: String { "\(bitsPerSecond / 1_000_000)mbit" }
}

/// Ports and prefixes between commas; an empty list is one as well.
struct SelectorList: ExpressibleByArgument {
    let rules: TrafficRules

    init?(argument: String) {
        var rules: [TrafficRules.Rule] = []
        for item in argument.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
            guard let selector = TrafficSelector(item) else { return nil }
            switch selector {
            case .ports(let range, let transport):
                rules.append(.ports(range, transport: transport.map { $0 == .tcp ? 6 : 17 }))
            case .prefix(let prefix): rules.append(.prefix(prefix))
            }
        }
        self.rules = TrafficRules(rules)
    }
}
