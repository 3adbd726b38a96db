/// What two ends have told each other in full, on whatever session: what a CONFIRM stands for.
struct Acquaintance {
    /// The peer's last HELLO.
    private(set) var heard: Hello?
    /// What we announced last, and its digest.
    private var told: (announcement: Announcement, digest: UInt32)?

    /// Takes the peer's HELLO.
    mutating func note(heard hello: Hello) { heard = hello }

    /// Notes that we said this in full.
    mutating func note(_ hello: Hello, told announcement: Announcement) {
        if told?.announcement != announcement { told = (announcement, hello.digestWhenWritten) }
    }

    /// The digest of an announcement, if it is the last that we made, and the peer takes a CONFIRM of it.
    func digest(of announcement: Announcement) -> UInt32? {
        guard announcement.records.contains(.confirm), heard?.records.contains(.confirm) == true,
            let told, told.announcement == announcement
        else { return nil }
        return told.digest
    }

    /// The HELLO that a CONFIRM of the peer's stands for, if we have it.
    func hello(for confirm: ConfirmRecord) -> Hello? {
        guard var hello = heard, hello.digest == confirm.digest, hello.records.contains(.confirm) else { return nil }
        hello.seen = confirm.seen
        hello.asks = false
        hello.aesIndex = confirm.aesIndex
        return hello
    }
}

// What a new process takes over.
extension Acquaintance {
    func write(to state: inout StateWriter) {
        state.put(optional: heard) { $1.write(to: &$0) }
        state.put(optional: told) { state, told in
            told.announcement.write(to: &state)
            state.put(told.digest)
        }
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        heard = try state.optional { state throws(StateProblem) in try Hello(&state) }
        told = try state.optional { state throws(StateProblem) in
            let announcement = try Announcement(&state)
            return (announcement, try state.number())
        }
    }
}
