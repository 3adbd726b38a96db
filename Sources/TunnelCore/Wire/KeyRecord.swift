/// KEYS: the exchange of a key that a quantum computer does not find, in a session that stands (docs/protocol.md §3.15).
///
///     encapsulation key, 0    exchange 4 · base 8 · key 1184
///     ciphertext, 1           exchange 4 · base 8 · ciphertext 1088
///     question, 2             number 8
///     answer, 3               number 8
///
/// The two large ones are written and read by the handshake thread; here are the numbers in them.
struct KeyRecord: Equatable {
    enum Form: UInt8 {
        case encapsulationKey = 0
        case ciphertext = 1
        /// The sender has a key of this number: has the receiver, too?
        case question = 2
        /// The same number if it has, else 0.
        case answer = 3
    }

    static let exchangeSize = 4
    /// The bytes before key or ciphertext.
    static let fieldsSize = exchangeSize + 8
    static let encapsulationKeySize = fieldsSize + 1184
    static let ciphertextSize = fieldsSize + 1088
    private static let numberSize = 8
    /// Bytes of the largest body.
    static let largestBody = encapsulationKeySize

    var form: Form
    /// The number of the exchange, or of the key.
    var number: UInt64

    /// The bytes of a question or an answer, which alone are written here.
    static let size = Record.headerSize + numberSize

    /// Writes the whole record to the start of `payload`; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        Record.writeHeader(.keys, parameter: form.rawValue, length: Self.numberSize, to: &payload)
        payload.store(little: number, at: Record.headerSize)
        return Self.size
    }

    /// The whole record around the body of a large one.
    static func record(_ form: Form, _ body: [UInt8]) -> [UInt8] {
        var record = [UInt8](repeating: 0, count: Record.headerSize)
        var span = record.mutableSpan
        var bytes = unsafe span.mutableBytes
        Record.writeHeader(.keys, parameter: form.rawValue, length: body.count, to: &bytes)
        return record + body
    }
}

extension KeyRecord {
    /// Reads the numbers of a body; `nil` if it is of another length, or of no form that we know.
    init?(parameter: UInt8, body: RawSpan) {
        guard let form = Form(rawValue: parameter) else { return nil }
        self.form = form
        switch form {
        case .encapsulationKey where body.byteCount == Self.encapsulationKeySize,
            .ciphertext where body.byteCount == Self.ciphertextSize:
            number = UInt64(body.little32(at: 0))
        case .question where body.byteCount == Self.numberSize, .answer where body.byteCount == Self.numberSize:
            number = body.little64(at: 0)
        default: return nil
        }
    }
}
