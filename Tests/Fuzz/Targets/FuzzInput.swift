@testable import TestKit

/// An input, read from its start: a byte of options, then steps.
///
///     │ options │ control │ length (2, little-endian) │ content │ control │ length │ content │ …
struct FuzzInput {
    struct Step {
        /// What is done with the content; each target says which bit means what.
        let control: UInt8
        let content: [UInt8]

        func isSet(_ bit: Int) -> Bool { control >> UInt8(bit) & 1 != 0 }
        /// The number in some bits.
        func bits(_ range: ClosedRange<Int>) -> Int {
            Int(control) >> range.lowerBound & ((1 << range.count) - 1)
        }
    }

    /// No input has more.
    private static let mostSteps = 64

    private let bytes: [UInt8]
    private var next = 0
    private var steps = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The byte of options; 0 if the input is empty.
    mutating func options() -> UInt8 {
        guard next < bytes.count else { return 0 }
        next += 1
        return bytes[next - 1]
    }

    /// The next step, whose content ends with the input if it is said to be longer.
    mutating func step() -> Step? {
        guard bytes.count - next >= 3, steps < Self.mostSteps else { return nil }
        let length = Int(bytes[next + 1]) | Int(bytes[next + 2]) << 8
        let start = next + 3
        let end = min(start + length, bytes.count)
        defer {
            next = end
            steps += 1
        }
        return Step(control: bytes[next], content: Array(bytes[start..<end]))
    }

    /// All that is left.
    mutating func rest() -> [UInt8] {
        defer { next = bytes.count }
        return Array(bytes[next...])
    }
}

/// Makes an input.
struct FuzzSeed {
    private(set) var bytes: [UInt8]

    init(options: UInt8 = 0) { bytes = [options] }

    mutating func add(_ content: [UInt8], control: UInt8 = 0) {
        bytes += [control] + little(UInt16(truncatingIfNeeded: content.count)) + content
    }
}
