/// How hard a codec tries, and what that is worth on a link.
///
/// A byte that is not sent saves the time that the link takes for it; a byte that is coded costs the thread's time. The
/// figures are those of text on a processor of 2020 (`docs/performance.md`); that they are wrong by a factor of two matters
/// little, since links differ by a factor of a thousand.
struct Effort {
    let level: Int32
    /// Nanoseconds for a byte of a large unit.
    let cost: Double
    /// What is left, by what the first effort leaves.
    let size: Double

    /// Nanoseconds that the link takes for a byte if nothing is known of it: 32 Mbit/s.
    static let unknownLink: Double = 250
    /// The thread has more to do than to code, and the other end must decode.
    private static let margin = 1.5
    /// What starting costs, as bytes.
    private static let start: Double = 2000

    private static let zstd: InlineArray<5, Effort> = [
        Effort(level: -3, cost: 2.6, size: 1.4), Effort(level: 1, cost: 3.2, size: 1),
        Effort(level: 3, cost: 4.2, size: 0.955), Effort(level: 6, cost: 13, size: 0.89),
        Effort(level: 9, cost: 18, size: 0.87),
    ]
    private static let deflate: InlineArray<2, Effort> = [
        Effort(level: 1, cost: 10, size: 1), Effort(level: 6, cost: 27, size: 0.85),
    ]
    /// The highest level of zstd.
    static let highest: Int32 = 9

    /// The effort that is worth most for a unit of `size` bytes of which `fraction` is left, on a link that takes
    /// `link` nanoseconds a byte; `nil` if none is worth anything.
    static func best(_ codec: Codec, size: Int, fraction: Double, link: Double) -> Effort? {
        var best: Effort?
        var worth = 0.0
        func consider(_ effort: Effort) {
            let saved = (1 - min(fraction * effort.size, 1)) * link
            let net = saved - effort.cost(size) * margin
            guard net > worth else { return }
            worth = net
            best = effort
        }
        switch codec {
        case .zstd: for index in zstd.indices { consider(zstd[index]) }
        case .deflate: for index in deflate.indices { consider(deflate[index]) }
        }
        return best
    }

    /// What is done if the operator wants this codec whatever it is worth.
    static func least(_ codec: Codec) -> Effort { codec == .zstd ? zstd[1] : deflate[0] }

    /// Nanoseconds a byte, in a unit of `size` bytes.
    func cost(_ size: Int) -> Double { cost * (1 + Self.start / Double(max(size, 1))) }
}
