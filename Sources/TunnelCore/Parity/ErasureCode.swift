import CISAL

/// Reed–Solomon parity over GF(2⁸), by ISA-L. Row r of a block is the sum of its vectors, the one at position p times 2^(r·p), so row 0 is
/// their exclusive or. Up to three vectors can be had back from as many rows: the coefficients are a Vandermonde matrix.
@safe
struct ErasureCode: ~Copyable {
    private let tables: UnsafeMutableRawPointer

    init() {
        unsafe tables = .allocate(byteCount: cisal_tables_size(), alignment: 64)
        unsafe cisal_make_tables(tables)
    }

    deinit { unsafe tables.deallocate() }

    /// Adds a vector of `count` bytes at a position to the first `rows` rows, which lie `stride` bytes apart.
    @unsafe
    func add(_ vector: UnsafeRawPointer, count: Int, at position: Int, to sums: Rows) {
        unsafe cisal_add(tables, Int32(sums.count), Int32(position), vector, count, sums.start, sums.stride)
    }

    /// The memory of some rows.
    @unsafe
    struct Rows {
        let start: UnsafeMutableRawPointer
        let stride: Int
        let count: Int
    }

    /// Solves for the vectors of `count` bytes at `positions`, from rows of which all other vectors have been taken: those numbered
    /// `rows` of `sums`, as many as positions. They go to `out`, `sums.stride` bytes apart. False if that can't be.
    @unsafe
    static func solve(
        _ positions: Few, from rows: Few, of sums: Rows, count: Int, into out: UnsafeMutableRawPointer
    ) -> Bool {
        var numbers = rows.bytes
        var places = positions.bytes
        return unsafe withUnsafePointer(to: &numbers) { numbers in
            unsafe withUnsafePointer(to: &places) { places in
                unsafe cisal_solve(
                    Int32(positions.count), UnsafeRawPointer(numbers).assumingMemoryBound(to: UInt8.self),
                    UnsafeRawPointer(places).assumingMemoryBound(to: UInt8.self), count, sums.start, out, sums.stride)
            }
        }
    }

    /// Up to three small numbers.
    struct Few {
        fileprivate var bytes = InlineArray<3, UInt8>(repeating: 0)
        private(set) var count = 0

        subscript(index: Int) -> Int { Int(bytes[index]) }

        /// Adds a number; false if there are three.
        mutating func append(_ number: Int) -> Bool {
            guard count < ParityRecord.mostRows else { return false }
            bytes[count] = UInt8(truncatingIfNeeded: number)
            count += 1
            return true
        }
    }
}
