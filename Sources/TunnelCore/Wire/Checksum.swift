/// The Internet checksum (RFC 1071): a one's complement sum of 16-bit words. It is summed in the machine's order, which
/// gives the right bytes when it is stored in that order.
struct Checksum {
    private var sum: UInt64 = 0

    init() {}

    /// The sum of `bytes`.
    @inline(__always)
    init(of bytes: RawSpan) { add(bytes) }

    /// Begins with the pseudo-header of an IP packet (RFC 9293 §3.1, RFC 8200 §8.1) for `length` bytes of transport.
    @inline(__always)
    init(pseudoHeaderOf packet: RawSpan, _ header: InternetPacket, length: Int) {
        self.init(pseudoHeaderOf: packet, isV4: header.isV4, transport: header.transport, length: length)
    }

    @inline(__always)
    init(pseudoHeaderOf packet: RawSpan, isV4: Bool, transport: UInt8, length: Int) {
        if isV4 {
            add(packet.extracting(IPv4Header.source..<IPv4Header.size))
        } else {
            add(packet.extracting(IPv6Header.source..<IPv6Header.size))
        }
        sum += UInt64(UInt16(transport).bigEndian) + UInt64(UInt16(truncatingIfNeeded: length).bigEndian)
    }

    /// Begins with the sum of a pseudo-header, in network order, that was made for another length.
    @inline(__always)
    init(pseudoHeader whole: UInt16, from old: Int, to new: Int) {
        sum = UInt64(whole.bigEndian) + UInt64((~UInt16(truncatingIfNeeded: old)).bigEndian)
        sum += UInt64(UInt16(truncatingIfNeeded: new).bigEndian)
    }

    /// Adds what another sum has, of bytes that begin at an even offset of what is summed.
    @inline(__always)
    mutating func add(_ other: Checksum) { sum &+= UInt64(other.folded) }

    /// Adds bytes that begin at an even offset of what is summed.
    @inline(__always)
    mutating func add(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { bytes in
            let count = bytes.count
            guard let start = bytes.baseAddress else { return }
            // Four sums, so that none waits for another; what is carried out of one comes in again at its end.
            var a: UInt64 = 0
            var b: UInt64 = 0
            var c: UInt64 = 0
            var d: UInt64 = 0
            var offset = 0
            while count &- offset >= 32 {
                a.addWithCarry(unsafe start.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                b.addWithCarry(unsafe start.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self))
                c.addWithCarry(unsafe start.loadUnaligned(fromByteOffset: offset &+ 16, as: UInt64.self))
                d.addWithCarry(unsafe start.loadUnaligned(fromByteOffset: offset &+ 24, as: UInt64.self))
                offset &+= 32
            }
            sum &+= a.halves &+ b.halves &+ c.halves &+ d.halves
            while count &- offset >= 4 {
                sum &+= unsafe UInt64(start.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                offset &+= 4
            }
            if count &- offset >= 2 {
                sum &+= unsafe UInt64(start.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
                offset &+= 2
            }
            if offset < count { sum &+= unsafe UInt64(start.load(fromByteOffset: offset, as: UInt8.self)) }
        }
    }

    /// The sum so far, folded, not complemented: what stands in a checksum field whose rest is left to the kernel.
    @inline(__always)
    var folded: UInt16 {
        var folded = (sum & 0xffff_ffff) + (sum >> 32)
        folded = (folded & 0xffff) + (folded >> 16)
        folded = (folded & 0xffff) + (folded >> 16)
        folded = (folded & 0xffff) + (folded >> 16)
        return UInt16(truncatingIfNeeded: folded)
    }

    /// The checksum to store, of what was added with the field at zero.
    @inline(__always)
    var value: UInt16 { ~folded }
}

extension UInt64 {
    /// One's complement addition.
    @inline(__always)
    fileprivate mutating func addWithCarry(_ other: UInt64) {
        let (result, isCarried) = addingReportingOverflow(other)
        self = result &+ (isCarried ? 1 : 0)
    }

    /// Both halves added: the same number modulo 2^32 - 1.
    @inline(__always)
    fileprivate var halves: UInt64 { (self & 0xffff_ffff) &+ (self >> 32) }
}

extension MutableRawSpan {
    /// Stores a checksum, which is in the machine's order already.
    @inline(__always)
    mutating func store(checksum: UInt16, at offset: Int) {
        storeBytes(of: checksum, toByteOffset: offset, as: UInt16.self)
    }

    /// Works out the checksum of an IPv4 header (RFC 791) at the start of the packet and stores it.
    @inline(__always)
    mutating func storeHeaderChecksum(length: Int) {
        store(checksum: 0, at: IPv4Header.checksum)
        var sum = Checksum()
        sum.add(bytes.extracting(0..<length))
        store(checksum: sum.value, at: IPv4Header.checksum)
    }
}
