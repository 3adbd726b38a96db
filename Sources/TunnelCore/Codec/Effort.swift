/// A level of a codec: what it costs the thread, and what it saves on the link.
///
/// A byte that is not sent saves the time that the link takes for it; a byte that is coded costs the thread's time. The
/// figures are those of text on a processor of 2020 (`docs/performance.md`); that they are wrong by a factor of two matters
/// little, since links differ by a factor of a thousand.
struct Effort {
    let level: Int32
    /// Nanoseconds for a byte of a large unit.
    let cost: Double
    /// The bytes that it leaves, in relation to those that the effort of size 1 leaves.
    let size: Double

    /// Nanoseconds that the link takes for a byte if nothing is known of it: 32 Mbit/s.
    static let unknownLink: Double = 250
    /// What its cost counts for: the thread has more to do than to code, and the other end must decode; where packets wait for the
    /// link, there is time.
    static let busy = 1.5
    static let waiting = 0.25
    /// The cost of starting, as bytes.
    private static let start: Double = 2000

    /// The effort that is worth most for a unit of `size` bytes of which `fraction` is left, on a link that takes
    /// `link` nanoseconds a byte; `nil` if none is worth anything.
    static func best(_ codec: Codec, size: Int, fraction: Double, link: Double, margin: Double = busy) -> Effort? {
        var best: Effort?
        var worth = 0.0
        for index in 0..<codec.traits.efforts.count {
            let effort = codec.traits.efforts[index]
            let saved = (1 - min(fraction * effort.size, 1)) * link
            let net = saved - effort.cost(size) * margin
            guard net > worth else { continue }
            worth = net
            best = effort
        }
        return best
    }

    /// The effort of a codec that the operator wants whatever it is worth.
    static func usual(_ codec: Codec) -> Effort {
        let efforts = codec.traits.efforts
        for index in 0..<efforts.count where efforts[index].size <= 1 { return efforts[index] }
        return efforts[0]
    }

    /// Nanoseconds a byte, in a unit of `size` bytes.
    func cost(_ size: Int) -> Double { cost * (1 + Self.start / Double(max(size, 1))) }
}

/// The efforts of a codec, up to eight, in place.
struct EffortTable: ExpressibleByArrayLiteral {
    private let efforts: InlineArray<8, Effort>
    let count: Int

    init(arrayLiteral elements: Effort...) {
        precondition((1...8).contains(elements.count))
        count = elements.count
        efforts = InlineArray { elements[min($0, elements.count - 1)] }
    }

    subscript(index: Int) -> Effort { efforts[index] }
}
