/// The rates of the links between a peer and us.
struct PeerRates {
    /// How fast we send to it, in bits a second, as configured; `nil`: as fast as it goes.
    var configured: UInt64?
    /// The place of a rate that is found instead (`FoundRates`); -1: there is none.
    var found: Int32 = -1
    /// How fast it says that it can be sent to, in bits a second.
    private(set) var told: UInt64?
    /// How fast we can be sent to, in kbit/s, which we tell it.
    var down: UInt32?

    /// The rate is found by what the peer says of what arrives.
    @inline(__always) var isFound: Bool { found >= 0 }
    /// They are something to say in a HELLO.
    @inline(__always) var needHello: Bool { down != nil || isFound }

    /// The lower of what is configured or found and what it says.
    func sending(_ rates: borrowing FoundRates) -> UInt64? {
        let own = isFound ? rates.rate(found) : configured
        return own.map { min($0, told ?? $0) } ?? told
    }

    /// What a peer may say, in kbit/s.
    private static let sensible: ClosedRange<UInt32> = 64...1_000_000

    /// Takes the peer's word, in kbit/s; false if that is no rate to send at, and is ignored.
    mutating func take(_ rate: UInt32?) -> Bool {
        told = rate.flatMap { Self.sensible.contains($0) ? UInt64($0) * 1000 : nil }
        return rate == nil || told != nil
    }
}

// What a new process takes over.
extension PeerRates {
    mutating func restore(told rate: UInt64?) {
        if let rate, Self.sensible.contains(UInt32(clamping: rate / 1000)) { told = rate }
    }
}
