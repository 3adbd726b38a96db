import Addresses
import Control
import LinuxIO
import TunnelCore

/// What a new process takes over of the daemon besides its loop: since when it runs, and what it made in the network.
struct KeptDaemon: Sendable {
    let name: String
    /// When the first process started.
    let started: Int64
    /// The number of the next event.
    let nextEvent: UInt64
    /// Where the metrics' socket is.
    let metrics: Endpoint?
    /// `nil` for a drop-in, which makes nothing.
    let network: KeptNetwork?

    struct KeptNetwork: Sendable {
        /// The mark, which is the table of a default route as well.
        let mark: UInt32
        /// The MTU that the interface got from the routes; 0: from elsewhere.
        let derived: Int
        let rules: [RoutingRule]
    }

    func write(to state: inout StateWriter) {
        let bytes = Array(name.utf8)
        state.put(UInt32(bytes.count))
        state.put(bytes.span)
        state.put(started)
        state.put(nextEvent)
        state.put(optional: metrics) { $0.put($1) }
        state.put(optional: network) { state, network in
            state.put(network.mark)
            state.put(UInt32(clamping: network.derived))
            state.put(list: network.rules) { state, rule in
                state.put(rule.family.rawValue)
                switch rule.action {
                case .lookUpUnlessMarked(let mark, let table):
                    state.put(1 as UInt8)
                    state.put(mark)
                    state.put(table)
                case .lookUpWithoutDefault(let table):
                    state.put(2 as UInt8)
                    state.put(0 as UInt32)
                    state.put(table)
                }
                state.put(optional: rule.priority) { $0.put($1) }
            }
        }
    }
}

extension KeptDaemon {
    init(_ state: inout StateReader) throws(StateProblem) {
        let bytes = try state.list { state throws(StateProblem) -> UInt8 in try state.number() }
        name = String(decoding: bytes, as: UTF8.self)
        started = try state.number()
        nextEvent = try state.number()
        guard nextEvent < 1 << 62 else { throw .implausible("a count") }
        metrics = try state.optional { state throws(StateProblem) in try state.endpoint() }
        network = try state.optional { state throws(StateProblem) in
            let mark = try state.number(UInt32.self)
            let derived = Int(try state.number(UInt32.self))
            return KeptNetwork(
                mark: mark, derived: derived, rules: try state.list(eachAtLeast: 11, Self.rule))
        }
    }

    private static func rule(_ state: inout StateReader) throws(StateProblem) -> RoutingRule {
        guard let family = RoutingRule.Family(rawValue: try state.number()) else { throw .implausible("a rule") }
        let kind = try state.number(UInt8.self)
        let mark = try state.number(UInt32.self)
        let table = try state.number(UInt32.self)
        let priority = try state.optional { state throws(StateProblem) -> UInt32 in try state.number() }
        switch kind {
        case 1: return RoutingRule(family, .lookUpUnlessMarked(mark: mark, table: table), priority: priority)
        case 2: return RoutingRule(family, .lookUpWithoutDefault(table: table), priority: priority)
        default: throw .implausible("a rule")
        }
    }
}
