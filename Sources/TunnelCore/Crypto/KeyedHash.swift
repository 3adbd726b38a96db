/// A fast hash for tables whose keys strangers choose: who does not know the secrets can't choose what collides.
struct KeyedHash {
    private let secrets: InlineArray<4, UInt64>

    /// `seed`: from a source of randomness.
    init(seed: UInt64) {
        var state = seed
        // SplitMix64.
        secrets = InlineArray { _ in
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
            return mixed ^ mixed >> 31
        }
    }

    /// Both halves of the product of two numbers, each under a secret. `round`: 0 to 2, where one result goes into the next.
    @inline(__always)
    func fold(_ a: UInt64, _ b: UInt64, round: Int) -> UInt64 {
        let product = (a ^ secrets[round]).multipliedFullWidth(by: b ^ secrets[round + 1])
        return product.high ^ product.low
    }
}
