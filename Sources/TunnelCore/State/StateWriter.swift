public import Addresses

/// Writes the state of a tunnel, number by number, the lowest byte first, into memory that somebody lends: secrets are nowhere
/// else on the way. What does not fit is left out, and `isFull` says so.
@safe
public struct StateWriter: ~Copyable {
    private let space: UnsafeMutableRawBufferPointer
    /// Bytes that were written.
    public private(set) var count = 0
    /// Something did not fit.
    public private(set) var isFull = false

    /// The memory must outlive the writer.
    @unsafe
    public init(_ space: UnsafeMutableRawBufferPointer) { unsafe self.space = space }

    public mutating func put<Number: FixedWidthInteger>(_ value: Number) {
        let size = Number.bitWidth / 8
        guard hasRoom(for: size) else { return }
        unsafe space.storeBytes(of: value.littleEndian, toByteOffset: count, as: Number.self)
        count += size
    }

    public mutating func put(_ value: Bool) { put(value ? 1 : 0 as UInt8) }
    public mutating func put(_ value: Double) { put(value.bitPattern) }

    public mutating func put(_ bytes: Span<UInt8>) {
        guard hasRoom(for: bytes.count) else { return }
        for index in bytes.indices { unsafe space[count + index] = bytes[index] }
        count += bytes.count
    }

    /// Whether there is one, and it.
    public mutating func put<Value>(optional value: Value?, _ body: (inout StateWriter, Value) -> Void) {
        put(value != nil)
        if let value { body(&self, value) }
    }

    public mutating func put(_ instant: Instant) { put(instant.nanoseconds) }
    public mutating func put(_ interval: Interval) { put(interval.nanoseconds) }

    public mutating func put(_ address: IPAddress) {
        switch address {
        case .v4(let bits):
            put(4 as UInt8)
            put(bits)
        case .v6(let bits):
            put(6 as UInt8)
            put(bits)
        }
    }

    public mutating func put(_ endpoint: Endpoint) {
        put(endpoint.address)
        put(endpoint.port)
        put(endpoint.scope)
    }

    /// How many, and each.
    public mutating func put<Element>(list: [Element], _ body: (inout StateWriter, Element) -> Void) {
        put(UInt32(clamping: list.count))
        for element in list { body(&self, element) }
    }

    private mutating func hasRoom(for size: Int) -> Bool {
        if unsafe size > space.count - count { isFull = true }
        return !isFull
    }
}
