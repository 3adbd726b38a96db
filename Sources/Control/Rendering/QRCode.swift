/// A QR code (ISO/IEC 18004) of bytes, with the lowest error correction: a screen has no scratches.
public struct QRCode: Sendable {
    /// Modules a side.
    public let size: Int
    private var modules: [Bool]
    /// What is no data: patterns, format, version.
    private var isFunction: [Bool]
    private let version: Int

    /// Codewords for correction in each block, and blocks, by version.
    private static let correction = [
        7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26, 28, 30, 30,
        30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
    ]
    private static let blocks = [
        1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19,
        19, 20, 21, 22, 24, 25,
    ]

    /// `nil` if there is no code for so many bytes.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        let fitting = (1...40).first { version in
            let countBits = version < 10 ? 8 : 16
            return 4 + countBits + 8 * bytes.count <= 8 * Self.dataCodewords(version)
        }
        guard let version = fitting else { return nil }
        self.version = version
        size = 17 + 4 * version
        modules = [Bool](repeating: false, count: size * size)
        isFunction = modules
        drawPatterns()
        draw(Self.interleave(Self.codewords(bytes, version), version))
        chooseMask()
    }

    /// Whether a module is dark; none is outside.
    public func isDark(_ x: Int, _ y: Int) -> Bool {
        (0..<size).contains(x) && (0..<size).contains(y) && modules[y * size + x]
    }

    /// Two rows in a line, light on dark terminals as on paper: what is light is drawn.
    public func text(ink: Ink = .none) -> String {
        var lines = ""
        for y in stride(from: -2, to: size + 2, by: 2) {
            for x in -2..<size + 2 {
                switch (isDark(x, y), isDark(x, y + 1)) {
                case (false, false): lines += "█"
                case (false, true): lines += "▀"
                case (true, false): lines += "▄"
                case (true, true): lines += " "
                }
            }
            lines += "\n"
        }
        return lines
    }
}

extension QRCode {
    // MARK: Data

    private static func rawModules(_ version: Int) -> Int {
        var count = (16 * version + 128) * version + 64
        if version >= 2 {
            let aligned = version / 7 + 2
            count -= (25 * aligned - 10) * aligned - 55
            if version >= 7 { count -= 36 }
        }
        return count
    }

    private static func dataCodewords(_ version: Int) -> Int {
        rawModules(version) / 8 - correction[version - 1] * blocks[version - 1]
    }

    private static func codewords(_ bytes: [UInt8], _ version: Int) -> [UInt8] {
        var bits: [Bool] = []
        func append(_ value: Int, _ count: Int) {
            for place in (0..<count).reversed() { bits.append(value >> place & 1 != 0) }
        }
        append(4, 4)
        append(bytes.count, version < 10 ? 8 : 16)
        for byte in bytes { append(Int(byte), 8) }
        let capacity = 8 * dataCodewords(version)
        append(0, min(4, capacity - bits.count))
        append(0, (8 - bits.count % 8) % 8)
        var words = stride(from: 0, to: bits.count, by: 8).map { start in
            (0..<8).reduce(UInt8(0)) { $0 << 1 | (bits[start + $1] ? 1 : 0) }
        }
        var pad: UInt8 = 0xec
        while words.count < capacity / 8 {
            words.append(pad)
            pad ^= 0xec ^ 0x11
        }
        return words
    }

    /// Cuts the words into blocks, adds each one's correction, and takes one word of each block in turn.
    private static func interleave(_ words: [UInt8], _ version: Int) -> [UInt8] {
        let (count, length) = (blocks[version - 1], correction[version - 1])
        let raw = rawModules(version) / 8
        let short = count - raw % count
        let shortLength = raw / count
        let divisor = self.divisor(length)
        var cut: [(data: ArraySlice<UInt8>, correction: [UInt8])] = []
        var rest = words[...]
        for index in 0..<count {
            let data = rest.prefix(shortLength - length + (index < short ? 0 : 1))
            rest = rest.dropFirst(data.count)
            cut.append((data, remainder(data, divisor)))
        }
        var result: [UInt8] = []
        for place in 0...shortLength - length {
            for block in cut where place < block.data.count { result.append(block.data[block.data.startIndex + place]) }
        }
        for place in 0..<length { for block in cut { result.append(block.correction[place]) } }
        return result
    }

    /// The product in GF(2⁸) with x⁸ + x⁴ + x³ + x² + 1.
    private static func product(_ a: UInt8, _ b: UInt8) -> UInt8 {
        var result = 0
        for place in (0..<8).reversed() {
            result = result << 1 ^ (result >> 7) * 0x11d
            if b >> UInt8(place) & 1 != 0 { result ^= Int(a) }
        }
        return UInt8(truncatingIfNeeded: result)
    }

    private static func divisor(_ degree: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: degree)
        result[degree - 1] = 1
        var root: UInt8 = 1
        for _ in 0..<degree {
            for place in 0..<degree {
                result[place] = product(result[place], root)
                if place + 1 < degree { result[place] ^= result[place + 1] }
            }
            root = product(root, 2)
        }
        return result
    }

    private static func remainder(_ data: ArraySlice<UInt8>, _ divisor: [UInt8]) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: divisor.count)
        for byte in data {
            let factor = byte ^ result.removeFirst()
            result.append(0)
            for place in result.indices { result[place] ^= product(divisor[place], factor) }
        }
        return result
    }

    // MARK: Patterns

    private mutating func set(_ x: Int, _ y: Int, _ isDark: Bool) {
        guard (0..<size).contains(x), (0..<size).contains(y) else { return }
        modules[y * size + x] = isDark
        isFunction[y * size + x] = true
    }

    private mutating func drawPatterns() {
        for place in 0..<size {
            set(6, place, place % 2 == 0)
            set(place, 6, place % 2 == 0)
        }
        for (x, y) in [(3, 3), (size - 4, 3), (3, size - 4)] { drawFinder(x, y) }
        let aligned = alignments
        for (row, y) in aligned.enumerated() {
            for (column, x) in aligned.enumerated() {
                let last = aligned.count - 1
                if (row, column) == (0, 0) || (row, column) == (0, last) || (row, column) == (last, 0) { continue }
                for dy in -2...2 { for dx in -2...2 { set(x + dx, y + dy, max(abs(dx), abs(dy)) != 1) } }
            }
        }
        drawFormat(mask: 0)
        drawVersion()
    }

    private var alignments: [Int] {
        guard version > 1 else { return [] }
        let count = version / 7 + 2
        let step = (version * 8 + count * 3 + 5) / (count * 4 - 4) * 2
        var places = (0..<count - 1).map { size - 7 - $0 * step }
        places.append(6)
        return places.reversed()
    }

    private mutating func drawFinder(_ x: Int, _ y: Int) {
        for dy in -4...4 {
            for dx in -4...4 {
                let distance = max(abs(dx), abs(dy))
                set(x + dx, y + dy, distance != 2 && distance != 4)
            }
        }
    }

    private mutating func drawFormat(mask: Int) {
        // Level L is 1.
        let data = 1 << 3 | mask
        var rest = data
        for _ in 0..<10 { rest = rest << 1 ^ (rest >> 9) * 0x537 }
        let bits = (data << 10 | rest) ^ 0x5412
        func bit(_ place: Int) -> Bool { bits >> place & 1 != 0 }
        for place in 0...5 { set(8, place, bit(place)) }
        set(8, 7, bit(6))
        set(8, 8, bit(7))
        set(7, 8, bit(8))
        for place in 9..<15 { set(14 - place, 8, bit(place)) }
        for place in 0..<8 { set(size - 1 - place, 8, bit(place)) }
        for place in 8..<15 { set(8, size - 15 + place, bit(place)) }
        set(8, size - 8, true)
    }

    private mutating func drawVersion() {
        guard version >= 7 else { return }
        var rest = version
        for _ in 0..<12 { rest = rest << 1 ^ (rest >> 11) * 0x1f25 }
        let bits = version << 12 | rest
        for place in 0..<18 {
            let (a, b) = (size - 11 + place % 3, place / 3)
            set(a, b, bits >> place & 1 != 0)
            set(b, a, bits >> place & 1 != 0)
        }
    }

    /// Puts the bits in, two columns at a time, up and down.
    private mutating func draw(_ words: [UInt8]) {
        var index = 0
        var right = size - 1
        while right >= 1 {
            if right == 6 { right = 5 }
            for step in 0..<size {
                for column in 0..<2 {
                    let x = right - column
                    let y = (right + 1) & 2 == 0 ? size - 1 - step : step
                    guard !isFunction[y * size + x], index < words.count * 8 else { continue }
                    modules[y * size + x] = words[index / 8] >> UInt8(7 - index % 8) & 1 != 0
                    index += 1
                }
            }
            right -= 2
        }
    }

    // MARK: Mask

    private mutating func chooseMask() {
        var best = (mask: 0, penalty: Int.max)
        for mask in 0..<8 {
            apply(mask)
            drawFormat(mask: mask)
            let penalty = penalty
            if penalty < best.penalty { best = (mask, penalty) }
            apply(mask)
        }
        apply(best.mask)
        drawFormat(mask: best.mask)
    }

    private mutating func apply(_ mask: Int) {
        for y in 0..<size {
            for x in 0..<size where !isFunction[y * size + x] {
                let inverts =
                    switch mask {
                    case 0: (x + y) % 2 == 0
                    case 1: y % 2 == 0
                    case 2: x % 3 == 0
                    case 3: (x + y) % 3 == 0
                    case 4: (x / 3 + y / 2) % 2 == 0
                    case 5: x * y % 2 + x * y % 3 == 0
                    case 6: (x * y % 2 + x * y % 3) % 2 == 0
                    default: ((x + y) % 2 + x * y % 3) % 2 == 0
                    }
                if inverts { modules[y * size + x].toggle() }
            }
        }
    }

    /// How hard it is to read: long runs, squares, what looks like a finder, too much of one colour.
    private var penalty: Int {
        var sum = 0
        var dark = 0
        let finder = [true, false, true, true, true, false, true]
        for line in 0..<size {
            for isRow in [true, false] {
                let row = (0..<size).map { isRow ? modules[line * size + $0] : modules[$0 * size + line] }
                var run = 1
                for place in 1..<size {
                    run = row[place] == row[place - 1] ? run + 1 : 1
                    if run == 5 { sum += 3 } else if run > 5 { sum += 1 }
                }
                for start in 0...size - 7 where Array(row[start..<start + 7]) == finder {
                    let before = row[max(start - 4, 0)..<start].allSatisfy { !$0 }
                    let after = row[start + 7..<min(start + 11, size)].allSatisfy { !$0 }
                    if before || after { sum += 40 }
                }
                if isRow { dark += row.count { $0 } }
            }
        }
        for y in 0..<size - 1 {
            for x in 0..<size - 1 {
                let one = modules[y * size + x]
                if one == modules[y * size + x + 1], one == modules[(y + 1) * size + x],
                    one == modules[(y + 1) * size + x + 1]
                {
                    sum += 3
                }
            }
        }
        return sum + abs(dark * 20 - size * size * 10) / (size * size) * 10
    }
}
