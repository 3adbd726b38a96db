/// ROTATE: a key that takes the place of another between two gateways, and how far that is. See docs/protocol.md §3.13.
///
///     0      1      2        4           36
///     ┌──────┬──────┬────────┬───────────┐
///     │ 0x1c │ what │ length │ key       │
///     └──────┴──────┴────────┴───────────┘
public struct RotateRecord: Sendable {
    /// The key that changes.
    public enum Subject: UInt8, Sendable {
        /// The one that both ends share.
        case presharedKey = 0x00
        /// The sender's own, of which the public half is told.
        case publicKey = 0x10
    }

    /// How far the sender is.
    public enum Step: UInt8, Sendable, CaseIterable {
        /// This is to be the new one.
        case offer = 1
        /// It has been written down, and is taken from now on.
        case holds
        /// The old one is used no more.
        case done
        /// This key is none of the sender's, nor was it offered.
        case unknown
        /// It could not be written down.
        case refused
    }

    static let bodySize = 32
    static let size = Record.headerSize + bodySize

    public var subject: Subject
    public var step: Step
    /// The new key. Whoever keeps it longer than a message puts it into secret memory.
    public var key: InlineArray<32, UInt8>

    public init(_ subject: Subject, _ step: Step, _ key: InlineArray<32, UInt8>) {
        self.subject = subject
        self.step = step
        self.key = key
    }

    /// Writes the whole record; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.rotate, parameter: subject.rawValue | step.rawValue, length: Self.bodySize, to: &payload)
        for index in 0..<Self.bodySize { payload.store(key[index], at: Record.headerSize + index) }
        return Self.size
    }
}

extension RotateRecord {
    /// Reads the body, of which more than this page knows does not count; `nil` if it is cut off, or says what we don't know.
    init?(parameter: UInt8, body: RawSpan) {
        guard let subject = Subject(rawValue: parameter & 0xf0), let step = Step(rawValue: parameter & 0x0f),
            body.byteCount >= Self.bodySize
        else { return nil }
        self.subject = subject
        self.step = step
        key = InlineArray { body.byte(at: $0) }
    }
}

extension RotateRecord: Equatable {
    public static func == (one: RotateRecord, other: RotateRecord) -> Bool {
        one.subject == other.subject && one.step == other.step
            && one.key.indices.allSatisfy { one.key[$0] == other.key[$0] }
    }
}
