/// The exchange of HELLOs on one session: what the peer announced, and whether ours has arrived.
///
/// The end that doesn't know whether its HELLO arrived sets `asks`; a HELLO that asks is answered at once. Repetition
/// is by time, and stops when the peer says `seen` or sends any record.
struct HelloExchange {
    /// The codecs that the peer decodes; empty until its HELLO arrives.
    private(set) var codecs: CodecSet = []
    /// The codec that `auto` codes with: the one that leaves least.
    private(set) var preferredCodec: Codec?
    /// The largest unit that the peer decodes.
    private(set) var maximumUnit = 0
    /// The kinds of record that the peer takes besides HELLO and UNIT.
    private(set) var records: RecordSet = []
    /// The peer wants to be told of what arrives as often as after a loss.
    private(set) var wantsReports = false
    /// The peer's HELLO has arrived.
    private(set) var hasArrived = false
    /// Our HELLO has arrived, as far as the peer has said so.
    private(set) var isConfirmed = false
    /// How often our HELLO was sent.
    private(set) var sent = 0
    /// How many messages had arrived on the session when our HELLO was last sent.
    private var arrivedBefore: UInt64 = 0
    /// Plain traffic since our HELLO was last sent, which is what keeps it being repeated.
    var hasTraffic = false
    /// The CONFIRM in place of our HELLO, where the peer knows that from before.
    var confirmation = Confirmation()

    /// The peer takes anything that has to be gathered.
    @inline(__always) var takesGathered: Bool { !codecs.isEmpty || records.contains(.bundle) }

    /// Our next HELLO.
    func announcement(_ announced: Announcement, aesIndex: ReceiverIndex?) -> Hello {
        Hello(
            seen: hasArrived, asks: asks, codecs: announced.codecs, maximumUnit: Limits.unit, aesIndex: aesIndex,
            records: announced.records, downRate: announced.downRate, wantsReports: announced.wantsReports)
    }

    /// Whether our next HELLO is to be answered.
    private var asks: Bool { !isConfirmed || !hasArrived }

    /// Notes that our HELLO was sent, `arrived` messages having come; when to send it again if nothing confirms it, counted from
    /// now.
    mutating func noteSent(peerIsSilent: Bool, arrived: UInt64) -> Interval? {
        sent += 1
        arrivedBefore = arrived
        hasTraffic = false
        confirmation.end()
        guard asks else { return nil }
        if sent <= Limits.helloRepeats.count {
            return peerIsSilent ? nil : Limits.helloRepeats[sent - 1]
        }
        return Limits.helloInterval
    }

    /// Our HELLO was not sent, and nothing says otherwise what it would: neither what is due, nor what was sent and has been answered.
    @inline(__always) var isUnsaid: Bool {
        sent == 0 && !confirmation.isDue && (confirmation.sent == 0 || !hasArrived)
    }

    /// Our HELLO was sent and nothing has confirmed it.
    @inline(__always) var isWaiting: Bool { sent > 0 && asks }

    /// Nothing has come since our HELLO was sent, not even a message that doesn't confirm it.
    func isUnanswered(arrived: UInt64) -> Bool { isWaiting && arrivedBefore == arrived }

    /// Takes the peer's HELLO; true if it is to be answered.
    mutating func receive(_ hello: Hello) -> Bool {
        hasArrived = true
        codecs = hello.codecs
        preferredCodec = codecs.preferred
        maximumUnit = min(hello.maximumUnit, Limits.unit)
        records = hello.records
        wantsReports = hello.wantsReports
        if hello.seen {
            isConfirmed = true
            confirmation.end()
        }
        return hello.asks
    }

    /// Any record but HELLO proves that ours has arrived: the peer sends none before.
    mutating func receiveRecord() {
        isConfirmed = true
        receiveData()
    }

    /// Data of a peer that we have not heard on this session is not from one that knows us: what would confirm us would be in vain.
    @inline(__always)
    mutating func receiveData() {
        if !hasArrived { confirmation.end() }
    }

    /// The peer will ask until it has heard us: it need not be asked whether it did.
    mutating func leaveAskingToPeer() { isConfirmed = true }
}

/// The content of our HELLO: the codecs and the kinds of record that we take, how fast we can be sent to, in kbit/s, and whether we want to
/// be told often of what arrives.
struct Announcement: Equatable {
    let codecs: CodecSet
    var records: RecordSet
    var downRate: UInt32?
    var wantsReports = false
}

// What a new process takes over.
extension HelloExchange {
    func write(to state: inout StateWriter) {
        state.put(codecs.rawValue)
        state.put(UInt32(clamping: maximumUnit))
        state.put(records.rawValue)
        state.put(wantsReports)
        state.put(hasArrived)
        state.put(isConfirmed)
        state.put(UInt32(clamping: sent))
        state.put(arrivedBefore)
        state.put(hasTraffic)
        confirmation.write(to: &state)
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        codecs = CodecSet(rawValue: try state.number()).intersection(.all)
        preferredCodec = codecs.preferred
        maximumUnit = min(Int(try state.number(UInt32.self)), Limits.unit)
        records = RecordSet(rawValue: try state.number())
        wantsReports = try state.bool()
        hasArrived = try state.bool()
        isConfirmed = try state.bool()
        sent = Int(try state.number(UInt32.self))
        arrivedBefore = try state.number()
        hasTraffic = try state.bool()
        confirmation = try Confirmation(&state)
    }
}

extension Announcement {
    func write(to state: inout StateWriter) {
        state.put(codecs.rawValue)
        state.put(records.rawValue)
        state.put(optional: downRate) { $0.put($1) }
        state.put(wantsReports)
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        codecs = CodecSet(rawValue: try state.number()).intersection(.all)
        records = RecordSet(rawValue: try state.number())
        downRate = try state.optional { state throws(StateProblem) in try state.number() }
        wantsReports = try state.bool()
    }
}
