public import Keys

/// The preshared keys with a peer, of which one may be about to take the place of another (docs/protocol.md §3.13).
///
/// It is what the file holds, and nothing else is remembered: either end may begin anew at each step. A responder answers with
/// `current`; an initiator takes an answer with any of them.
///
///     we:  O        O, next N    ──offer──▶                   N, previous O   ──holds──▶      N
///     it:  O                        N, previous O  ──holds──▶                   N  ──done──▶
public struct PresharedKeys: Sendable {
    public var current: PresharedKey?
    /// We offered it; the peer may have it by now.
    public var next: PresharedKey?
    /// The peer may use it still. One of zeros: there was none.
    public var previous: PresharedKey?

    public init(current: PresharedKey?, next: PresharedKey? = nil, previous: PresharedKey? = nil) {
        self.current = current
        self.next = next
        self.previous = previous
    }

    /// One takes the place of another.
    public var isChanging: Bool { next != nil || previous != nil }

    /// The one besides `current` that the peer may answer with.
    public var other: PresharedKey? { next ?? previous }

    /// What the peer is told again and again until it has answered. `stands`: a session was made with `current`.
    public func toSay(stands: Bool) -> RotateRecord? {
        if let next { return RotateRecord(.presharedKey, .offer, next) }
        guard previous != nil, stands, let current else { return nil }
        return RotateRecord(.presharedKey, .holds, current)
    }

    /// What follows from a word of the peer's: the keys as they are to be, if they change, and the answer, which is not to be
    /// given before they are written down.
    ///
    /// `goesFirst`: of two offers that cross, ours holds.
    public func taking(
        _ record: RotateRecord, stands: Bool, goesFirst: Bool
    ) -> (keys: PresharedKeys?, answer: RotateRecord?) {
        func answer(_ step: RotateRecord.Step) -> RotateRecord { RotateRecord(.presharedKey, step, record.key) }
        switch record.step {
        case .offer:
            if isKey(record, current) { return (nil, answer(.holds)) }
            if next != nil, goesFirst { return (nil, nil) }
            guard let key = PresharedKey(record) else { return (nil, answer(.refused)) }
            return (PresharedKeys(current: key, previous: current ?? PresharedKey.zeros), answer(.holds))
        case .holds:
            if isKey(record, next) {
                return (PresharedKeys(current: next, previous: current ?? PresharedKey.zeros), nil)
            }
            guard isKey(record, current) else { return (nil, isKey(record, previous) ? nil : answer(.unknown)) }
            guard previous != nil else { return (nil, answer(.done)) }
            return stands ? (PresharedKeys(current: current), answer(.done)) : (nil, nil)
        case .done:
            guard isKey(record, current), previous != nil, stands else { return (nil, nil) }
            return (PresharedKeys(current: current, next: next), nil)
        case .unknown:
            guard isKey(record, current), let previous, next == nil else { return (nil, nil) }
            return (PresharedKeys(current: previous.isZeros ? nil : previous), nil)
        case .refused:
            return isKey(record, next) ? (PresharedKeys(current: current, previous: previous), nil) : (nil, nil)
        }
    }

    private func isKey(_ record: RotateRecord, _ key: PresharedKey?) -> Bool {
        guard let key else { return false }
        return key.bytes.indices.allSatisfy { key.bytes[$0] == record.key[$0] }
    }
}

extension PresharedKey {
    /// The key that a record brings; `nil` if that stands for none.
    fileprivate init?(_ record: RotateRecord) {
        guard !record.key.indices.allSatisfy({ record.key[$0] == 0 }) else { return nil }
        var bytes = record.key
        self.init(consuming: &bytes)
    }
}

extension RotateRecord {
    public init(_ subject: Subject, _ step: Step, _ key: PresharedKey) {
        self.init(subject, step, InlineArray { key.bytes[$0] })
    }
}
