import Addresses

/// A request under construction: header, fixed part, attributes, each padded to four bytes.
///
/// Numbers are in the machine's byte order, as rtnetlink wants them; addresses are in network order.
struct NetlinkRequest {
    private(set) var bytes: [UInt8] = []

    /// `flags` come on top of "this is a request".
    init(_ type: UInt16, flags: UInt16, sequence: UInt32) {
        append(UInt32(0))
        append(type)
        append(RTNetlink.request | flags)
        append(sequence)
        append(UInt32(0))
    }

    /// The message with its length filled in.
    func finished() -> [UInt8] {
        var message = bytes
        message.replaceSubrange(0..<4, with: Self.native(UInt32(bytes.count)))
        return message
    }

    mutating func append(_ number: some FixedWidthInteger) {
        bytes.append(contentsOf: Self.native(number))
    }

    mutating func append(_ kind: UInt16, _ number: some FixedWidthInteger) {
        append(kind, Self.native(number))
    }

    mutating func append(_ kind: UInt16, _ address: IPAddress) {
        append(kind, address.networkBytes)
    }

    mutating func append(_ kind: UInt16, _ address: MACAddress) {
        append(kind, (0..<6).map { UInt8(truncatingIfNeeded: address.bits >> UInt64(40 - 8 * $0)) })
    }

    mutating func append(_ kind: UInt16, text: String) {
        append(kind, Array(text.utf8) + [0])
    }

    /// An attribute whose value is the attributes that `body` appends.
    mutating func append(_ kind: UInt16, _ body: (inout NetlinkRequest) -> Void) {
        let start = bytes.count
        append(UInt16(0))
        append(kind)
        body(&self)
        bytes.replaceSubrange(start..<start + 2, with: Self.native(UInt16(bytes.count - start)))
    }

    private mutating func append(_ kind: UInt16, _ value: [UInt8]) {
        append(UInt16(4 + value.count))
        append(kind)
        bytes.append(contentsOf: value)
        while !bytes.count.isMultiple(of: 4) { bytes.append(0) }
    }

    private static func native<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        let little = number.littleEndian
        // On a big-endian machine `littleEndian` has swapped the bytes, and shifting yields them in its own order.
        return (0..<Number.bitWidth / 8).map { UInt8(truncatingIfNeeded: little >> Number($0 * 8)) }
    }
}

/// One message of a datagram that the kernel sent. Reading beyond its end yields `nil`, never a trap.
struct NetlinkMessage {
    let type: UInt16
    let flags: UInt16
    let sequence: UInt32
    /// What follows the header.
    let body: ArraySlice<UInt8>

    /// The whole messages that `datagram` holds; what is malformed ends them.
    static func all(in datagram: ArraySlice<UInt8>) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var rest = datagram
        while rest.count >= RTNetlink.headerSize, let length = rest.native(UInt32.self, at: 0).map({ Int($0) }),
            length >= RTNetlink.headerSize, length <= rest.count,
            let type = rest.native(UInt16.self, at: 4), let flags = rest.native(UInt16.self, at: 6),
            let sequence = rest.native(UInt32.self, at: 8)
        {
            let body = rest.prefix(length).dropFirst(RTNetlink.headerSize)
            messages.append(NetlinkMessage(type: type, flags: flags, sequence: sequence, body: body))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return messages
    }

    /// The attributes after a fixed part of `size` bytes.
    func attributes(after size: Int) -> [UInt16: ArraySlice<UInt8>] {
        Self.attributes(in: body.dropFirst((size + 3) & ~3))
    }

    /// The attributes that `bytes` are, the last of each kind; what is malformed ends them.
    static func attributes(in bytes: ArraySlice<UInt8>) -> [UInt16: ArraySlice<UInt8>] {
        var found: [UInt16: ArraySlice<UInt8>] = [:]
        var rest = bytes
        while let length = rest.native(UInt16.self, at: 0).map({ Int($0) }), length >= 4, length <= rest.count,
            let kind = rest.native(UInt16.self, at: 2)
        {
            // The two highest bits say that the value is nested or in network order.
            found[kind & 0x3fff] = rest.prefix(length).dropFirst(4)
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return found
    }
}

extension ArraySlice<UInt8> {
    /// The number at `offset` from the slice's start in the machine's byte order; `nil` if it does not fit.
    func native<Number: FixedWidthInteger>(_: Number.Type, at offset: Int) -> Number? {
        let size = Number.bitWidth / 8
        guard offset >= 0, offset + size <= count else { return nil }
        var little: Number = 0
        for position in 0..<size {
            little |= Number(truncatingIfNeeded: self[startIndex + offset + position]) << Number(position * 8)
        }
        return Number(littleEndian: little)
    }

    /// The address that the whole slice is, by its size.
    var networkAddress: IPAddress? {
        switch count {
        case 4: .v4(reduce(0) { $0 << 8 | UInt32($1) })
        case 16: .v6(reduce(0) { $0 << 8 | UInt128($1) })
        default: nil
        }
    }
}

extension IPAddress {
    /// 4 or 16 bytes, most significant first.
    var networkBytes: [UInt8] {
        switch self {
        case .v4(let bits): (0..<4).map { UInt8(truncatingIfNeeded: bits >> (24 - 8 * $0)) }
        case .v6(let bits): (0..<16).map { UInt8(truncatingIfNeeded: bits >> (120 - 8 * $0)) }
        }
    }

    /// `AF_INET` or `AF_INET6`.
    var linuxFamily: UInt8 { isV4 ? 2 : 10 }
}
