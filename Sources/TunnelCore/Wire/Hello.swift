/// HELLO: what its sender can receive on this session. The record's parameter is the version; the body is a byte of
/// flags and then type-length-value options. See docs/protocol.md.
struct Hello: Equatable {
    static let version: UInt8 = 1

    /// The version that the sender speaks; a higher one adds to ours and changes nothing in it.
    var version = Hello.version
    /// The sender has received a HELLO on this session.
    var seen: Bool
    /// The sender doesn't know yet whether its own HELLO has arrived: answer it.
    var asks: Bool
    /// The codecs that the sender decodes.
    var codecs: CodecSet
    /// The largest unit that it decodes, in decoded bytes.
    var maximumUnit: Int
    /// The index by which the sender knows its lane for AES-256-GCM; `nil` if it has none.
    var aesIndex: ReceiverIndex?
    /// The kinds of record that it takes besides HELLO and UNIT.
    var records: RecordSet = []
    /// How fast the sender can be sent to, in kbit/s; `nil`: it does not say.
    var downRate: UInt32?
    /// It wants to be told of what arrives as often as after a loss.
    var wantsReports = false
    /// Of what it says that holds on other sessions too: the version and the options but for `aesIndex`, as they were read; 0 in one
    /// that was not.
    private(set) var digest: UInt32 = 0

    private enum Flag {
        static let seen: UInt8 = 1
        static let asks: UInt8 = 2
    }

    private enum Option: UInt8 {
        case codecs = 1
        case maximumUnit = 2
        case aes256gcm = 3
        case records = 4
        case downRate = 5
        case reports = 6
    }

    /// The bytes that `write` needs at most.
    static let maximumSize =
        Record.headerSize + 1 + (2 + Codec.allCases.count) + (2 + 4) + (2 + 4) + (2 + RecordSet.announced.count + 1)
        + (2 + 4) + (2 + 1)

    /// Writes the whole record to the start of `payload`; its size.
    func write(to payload: inout MutableRawSpan) -> Int {
        var end = Record.headerSize
        func append(_ byte: UInt8, _ payload: inout MutableRawSpan) {
            payload.store(byte, at: end)
            end += 1
        }
        append((seen ? Flag.seen : 0) | (asks ? Flag.asks : 0), &payload)
        let announced = Codec.allCases.filter { codecs.contains($0) }
        append(Option.codecs.rawValue, &payload)
        append(UInt8(announced.count), &payload)
        for codec in announced { append(codec.rawValue, &payload) }
        append(Option.maximumUnit.rawValue, &payload)
        append(4, &payload)
        payload.store(little: UInt32(maximumUnit), at: end)
        end += 4
        if let aesIndex {
            append(Option.aes256gcm.rawValue, &payload)
            append(4, &payload)
            payload.store(little: aesIndex.rawValue, at: end)
            end += 4
        }
        if !records.isEmpty {
            let kinds = RecordSet.announced.filter { records.contains($0) }
            let segments = records.isSuperset(of: .segmentedFrames)
            append(Option.records.rawValue, &payload)
            let brief = records.isSuperset(of: .briefRecalls)
            append(UInt8(kinds.count + (segments ? 1 : 0) + (brief ? 1 : 0)), &payload)
            for kind in kinds { append(kind.rawValue, &payload) }
            if segments { append(RecordSet.segmentedFramesNumber, &payload) }
            if brief { append(RecordSet.briefRecallsNumber, &payload) }
        }
        if let downRate {
            append(Option.downRate.rawValue, &payload)
            append(4, &payload)
            payload.store(little: downRate, at: end)
            end += 4
        }
        if wantsReports {
            append(Option.reports.rawValue, &payload)
            append(1, &payload)
            append(1, &payload)
        }
        Record.writeHeader(.hello, parameter: version, length: end - Record.headerSize, to: &payload)
        return end
    }
}

extension Hello {
    /// Reads the body of a HELLO; `nil` if it is cut off, or if an option that we know has a size it cannot have.
    /// Options and codecs that we don't know are skipped.
    init?(version: UInt8, body: RawSpan) {
        guard version >= 1, body.byteCount >= 1 else { return nil }
        self.version = version
        digest = Self.digest(version: version, body: body)
        let flags = body.byte(at: 0)
        aesIndex = nil
        seen = flags & Flag.seen != 0
        asks = flags & Flag.asks != 0
        codecs = []
        maximumUnit = Limits.unit
        var offset = 1
        while offset < body.byteCount {
            guard body.byteCount - offset >= 2 else { return nil }
            let type = body.byte(at: offset)
            let end = offset + 2 + Int(body.byte(at: offset + 1))
            guard end <= body.byteCount else { return nil }
            switch Option(rawValue: type) {
            case .codecs:
                for index in offset + 2..<end {
                    if let codec = Codec(rawValue: body.byte(at: index)) { codecs.insert(CodecSet(codec)) }
                }
            case .maximumUnit:
                guard end - offset == 2 + 4 else { return nil }
                maximumUnit = Int(body.little32(at: offset + 2))
            case .aes256gcm:
                guard end - offset == 2 + 4 else { return nil }
                let index = body.little32(at: offset + 2)
                aesIndex = index == 0 ? nil : ReceiverIndex(rawValue: index)
            case .records:
                for index in offset + 2..<end {
                    let number = body.byte(at: index)
                    if number == RecordSet.segmentedFramesNumber { records.insert(.segmentedFrames) }
                    if number == RecordSet.briefRecallsNumber { records.insert(.briefRecalls) }
                    if let kind = Record.Kind(rawValue: number) { records.insert(RecordSet(kind)) }
                }
            case .downRate:
                guard end - offset == 2 + 4 else { return nil }
                downRate = body.little32(at: offset + 2)
            case .reports:
                guard end - offset == 2 + 1 else { return nil }
                wantsReports = body.byte(at: offset + 2) == 1
            case nil:
                break
            }
            offset = end
        }
    }

    /// The digest of what this HELLO says when it is written.
    var digestWhenWritten: UInt32 {
        var buffer = InlineArray<64, UInt8>(repeating: 0)
        var span = buffer.mutableSpan
        var bytes = unsafe span.mutableBytes
        let size = write(to: &bytes)
        return Self.digest(version: version, body: bytes.bytes.extracting(Record.headerSize..<size))
    }

    /// FNV-1a of 32 bits over the version and the options but for that of `aesIndex`, in the order in which they stand.
    private static func digest(version: UInt8, body: RawSpan) -> UInt32 {
        var digest: UInt32 = 0x811c_9dc5
        func take(_ byte: UInt8) { digest = (digest ^ UInt32(byte)) &* 0x0100_0193 }
        take(version)
        var offset = 1
        while body.byteCount - offset >= 2 {
            let end = min(offset + 2 + Int(body.byte(at: offset + 1)), body.byteCount)
            if body.byte(at: offset) != Option.aes256gcm.rawValue {
                for index in offset..<end { take(body.byte(at: index)) }
            }
            offset = end
        }
        return digest
    }
}

// What a new process takes over.
extension Hello {
    func write(to state: inout StateWriter) {
        state.put(version)
        state.put(seen)
        state.put(asks)
        state.put(codecs.rawValue)
        state.put(UInt32(clamping: maximumUnit))
        state.put(optional: aesIndex) { $0.put($1.rawValue) }
        state.put(records.rawValue)
        state.put(optional: downRate) { $0.put($1) }
        state.put(wantsReports)
        state.put(digest)
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        version = try state.number()
        seen = try state.bool()
        asks = try state.bool()
        codecs = CodecSet(rawValue: try state.number()).intersection(.all)
        maximumUnit = Int(try state.number(UInt32.self))
        let index = try state.optional { state throws(StateProblem) -> UInt32 in try state.number() }
        aesIndex = index.map { ReceiverIndex(rawValue: $0) }
        records = RecordSet(rawValue: try state.number())
        downRate = try state.optional { state throws(StateProblem) in try state.number() }
        wantsReports = try state.bool()
        digest = try state.number()
    }
}
