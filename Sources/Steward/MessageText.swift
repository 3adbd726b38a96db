import Addresses
import Keys

/// Writes a message: numbers as they are, lowest byte first, and texts behind their length.
struct MessageWriter {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ value: UInt8) { bytes.append(value) }
    mutating func append(_ value: Bool) { bytes.append(value ? 1 : 0) }
    mutating func append(_ value: UInt16) { append(UInt64(value), size: 2) }
    mutating func append(_ value: UInt32) { append(UInt64(value), size: 4) }
    mutating func append(_ value: Int32) { append(UInt64(UInt32(bitPattern: value)), size: 4) }

    mutating func append(_ text: String) {
        append(UInt32(text.utf8.count))
        bytes += text.utf8
    }

    mutating func append(_ address: IPAddress) {
        switch address {
        case .v4(let bits):
            append(UInt8(4))
            append(bits)
        case .v6(let bits):
            append(UInt8(6))
            append(UInt64(truncatingIfNeeded: bits), size: 8)
            append(UInt64(truncatingIfNeeded: bits >> 64), size: 8)
        }
    }

    mutating func append(_ endpoint: Endpoint) {
        append(endpoint.address)
        append(endpoint.port)
        append(endpoint.scope)
    }

    mutating func append(_ key: PublicKey) { for index in 0..<32 { bytes.append(key.bytes[index]) } }

    /// 32 secret bytes.
    mutating func append(secret: Span<UInt8>) { for index in secret.indices { bytes.append(secret[index]) } }

    mutating func append<Element>(_ list: [Element], _ one: (inout MessageWriter, Element) -> Void) {
        append(UInt32(list.count))
        for element in list { one(&self, element) }
    }

    mutating func append<Value>(_ value: Value?, _ one: (inout MessageWriter, Value) -> Void) {
        append(value != nil)
        if let value { one(&self, value) }
    }

    private mutating func append(_ value: UInt64, size: Int) {
        for index in 0..<size { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))) }
    }
}

/// Reads a message that another process wrote, which may be anything: what is cut off, too long or unknown is `Malformed`.
struct MessageReader {
    struct Malformed: Error {}

    private let bytes: [UInt8]
    private var place = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Nothing may stand behind the end.
    func finish() throws(Malformed) {
        guard place == bytes.count else { throw Malformed() }
    }

    mutating func byte() throws(Malformed) -> UInt8 {
        guard place < bytes.count else { throw Malformed() }
        defer { place += 1 }
        return bytes[place]
    }

    mutating func bool() throws(Malformed) -> Bool {
        switch try byte() {
        case 0: return false
        case 1: return true
        default: throw Malformed()
        }
    }

    mutating func uint16() throws(Malformed) -> UInt16 { UInt16(truncatingIfNeeded: try number(size: 2)) }
    mutating func uint32() throws(Malformed) -> UInt32 { UInt32(truncatingIfNeeded: try number(size: 4)) }
    mutating func int32() throws(Malformed) -> Int32 { Int32(bitPattern: try uint32()) }

    /// A text of at most so many bytes.
    mutating func text(atMost limit: Int) throws(Malformed) -> String {
        let length = Int(try uint32())
        guard length <= limit, length <= bytes.count - place else { throw Malformed() }
        defer { place += length }
        return String(decoding: bytes[place..<place + length], as: UTF8.self)
    }

    mutating func address() throws(Malformed) -> IPAddress {
        switch try byte() {
        case 4: return .v4(try uint32())
        case 6:
            let low = UInt128(try number(size: 8))
            return .v6(UInt128(try number(size: 8)) << 64 | low)
        default: throw Malformed()
        }
    }

    mutating func endpoint() throws(Malformed) -> Endpoint {
        let address = try address()
        let port = try uint16()
        return Endpoint(address, port: port, scope: try uint32())
    }

    mutating func publicKey() throws(Malformed) -> PublicKey {
        var key = InlineArray<32, UInt8>(repeating: 0)
        for index in 0..<32 { key[index] = try byte() }
        return PublicKey(bytes: key)
    }

    mutating func secret() throws(Malformed) -> InlineArray<32, UInt8> {
        var key = InlineArray<32, UInt8>(repeating: 0)
        for index in 0..<32 { key[index] = try byte() }
        return key
    }

    mutating func list<Element>(
        atMost limit: Int, _ one: (inout MessageReader) throws(Malformed) -> Element
    ) throws(Malformed) -> [Element] {
        let count = Int(try uint32())
        // Each takes a byte at least.
        guard count <= limit, count <= bytes.count - place else { throw Malformed() }
        var list: [Element] = []
        for _ in 0..<count { list.append(try one(&self)) }
        return list
    }

    mutating func optional<Value>(
        _ one: (inout MessageReader) throws(Malformed) -> Value
    ) throws(Malformed) -> Value? {
        try bool() ? try one(&self) : nil
    }

    private mutating func number(size: Int) throws(Malformed) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<size { value |= UInt64(try byte()) << (8 * UInt64(index)) }
        return value
    }
}
