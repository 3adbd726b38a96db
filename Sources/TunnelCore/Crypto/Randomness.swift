import CSodium
import Keys

/// The source of unpredictable bytes: the system, or in tests a seed.
public struct Randomness: Sendable {
    private let seed: InlineArray<32, UInt8>?
    private var drawn: UInt64 = 0

    /// The system's generator.
    public static let system = Randomness(seed: nil)

    /// The same bytes for the same seed, in every run. Only for tests.
    public init(seed number: UInt64) {
        seed = InlineArray { $0 < 8 ? UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) : 0 }
    }

    private init(seed: InlineArray<32, UInt8>?) { self.seed = seed }

    /// Fills `bytes`.
    mutating func fill(_ bytes: inout MutableSpan<UInt8>) {
        guard var seed else { return fillRandom(&bytes) }
        // Each draw has a seed of its own.
        drawn += 1
        for index in 0..<8 { seed[8 + index] = UInt8(truncatingIfNeeded: drawn >> (8 * UInt64(index))) }
        unsafe randombytes_buf_deterministic(bytes.start, bytes.count, seed.span.start)
    }

    mutating func bytes<let count: Int>() -> InlineArray<count, UInt8> {
        var bytes = InlineArray<count, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        fill(&span)
        return bytes
    }

    mutating func number() -> UInt32 {
        let bytes: InlineArray<4, UInt8> = bytes()
        return bytes.little32(at: 0)
    }
}
