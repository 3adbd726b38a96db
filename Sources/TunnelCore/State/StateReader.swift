public import Addresses

/// What is wrong with a state.
public enum StateProblem: Error, Equatable, Sendable {
    /// It ends too early.
    case cutOff
    /// It is none at all.
    case foreign
    /// It is of a version that this program does not know.
    case version(UInt32)
    /// A bit is another than it was.
    case damaged
    /// It says what can't be.
    case implausible(String)
}

/// Reads what a `StateWriter` wrote. Any bytes will do: it reads no further than they go, and takes no more memory than they
/// are worth.
@safe
public struct StateReader: ~Copyable {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0
    /// The version that it was written in.
    public let version: UInt32

    /// The memory must outlive the reader.
    @unsafe
    public init(_ bytes: UnsafeRawBufferPointer, version: UInt32 = 2) {
        unsafe self.bytes = bytes
        self.version = version
    }

    /// Bytes that are left.
    public var remaining: Int { unsafe bytes.count - offset }

    public mutating func number<Number: FixedWidthInteger>(
        _ type: Number.Type = Number.self
    ) throws(StateProblem) -> Number {
        let size = Number.bitWidth / 8
        guard size <= remaining else { throw .cutOff }
        defer { offset += size }
        return unsafe Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }

    public mutating func bool() throws(StateProblem) -> Bool {
        switch try number(UInt8.self) {
        case 0: false
        case 1: true
        default: throw .implausible("a truth")
        }
    }

    /// A number that is finite.
    public mutating func double() throws(StateProblem) -> Double {
        let value = Double(bitPattern: try number())
        guard value.isFinite else { throw .implausible("a number") }
        return value
    }

    /// Exactly so many bytes. Whoever asks for a secret wipes them.
    public mutating func array<let count: Int>() throws(StateProblem) -> InlineArray<count, UInt8> {
        guard count <= remaining else { throw .cutOff }
        defer { offset += count }
        return InlineArray { unsafe bytes[offset + $0] }
    }

    public mutating func optional<Value>(
        _ body: (inout StateReader) throws(StateProblem) -> Value
    ) throws(StateProblem) -> Value? {
        try bool() ? try body(&self) : nil
    }

    public mutating func instant() throws(StateProblem) -> Instant { Instant(nanoseconds: try number()) }
    public mutating func interval() throws(StateProblem) -> Interval { Interval(nanoseconds: try number()) }

    public mutating func address() throws(StateProblem) -> IPAddress {
        switch try number(UInt8.self) {
        case 4: .v4(try number())
        case 6: .v6(try number())
        default: throw .implausible("an address")
        }
    }

    public mutating func endpoint() throws(StateProblem) -> Endpoint {
        let address = try address()
        let port = try number(UInt16.self)
        return Endpoint(address, port: port, scope: try number())
    }

    /// How many of something follow, each of which takes so many bytes at least.
    public mutating func count(eachAtLeast size: Int = 1) throws(StateProblem) -> Int {
        let count = Int(try number(UInt32.self))
        guard count <= remaining / size else { throw .cutOff }
        return count
    }

    /// A list of what takes so many bytes at least.
    public mutating func list<Element>(
        eachAtLeast size: Int = 1, _ body: (inout StateReader) throws(StateProblem) -> Element
    ) throws(StateProblem) -> [Element] {
        let count = try count(eachAtLeast: size)
        var list: [Element] = []
        for _ in 0..<count { list.append(try body(&self)) }
        return list
    }

    /// Nothing must be left.
    public func finish() throws(StateProblem) {
        guard remaining == 0 else { throw .implausible("what stands behind it") }
    }
}
