/// The Internet checksum (RFC 1071): a one's complement sum of 16-bit words. It is summed in the machine's order, which
/// gives the right bytes when it is stored in that order.
struct Checksum {
    private var sum: UInt64 = 0

    init() {}

    /// Begins with the pseudo-header of an IP packet (RFC 9293 §3.1, RFC 8200 §8.1) for `length` bytes of transport.
    @inline(__always)
    init(pseudoHeaderOf packet: RawSpan, _ header: InternetPacket, length: Int) {
        if header.isV4 {
            add(packet.extracting(12..<20))
        } else {
            add(packet.extracting(8..<40))
        }
        sum += UInt64(UInt16(header.transport).bigEndian) + UInt64(UInt16(truncatingIfNeeded: length).bigEndian)
    }

    /// Adds bytes that begin at an even offset of what is summed.
    @inline(__always)
    mutating func add(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { bytes in
            let count = bytes.count
            guard let start = bytes.baseAddress else { return }
            // Four sums of 32-bit words, so that none waits for another.
            var a: UInt64 = 0
            var b: UInt64 = 0
            var c: UInt64 = 0
            var d: UInt64 = 0
            var offset = 0
            while count &- offset >= 32 {
                let first = unsafe start.loadUnaligned(fromByteOffset: offset, as: SIMD4<UInt64>.self)
                a &+= first[0] & 0xffff_ffff &+ first[0] >> 32
                b &+= first[1] & 0xffff_ffff &+ first[1] >> 32
                c &+= first[2] & 0xffff_ffff &+ first[2] >> 32
                d &+= first[3] & 0xffff_ffff &+ first[3] >> 32
                offset &+= 32
            }
            while count &- offset >= 4 {
                a &+= unsafe UInt64(start.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                offset &+= 4
            }
            if count &- offset >= 2 {
                b &+= unsafe UInt64(start.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
                offset &+= 2
            }
            if offset < count { c &+= unsafe UInt64(start.load(fromByteOffset: offset, as: UInt8.self)) }
            // At most 64 KB: none of the sums comes near its end.
            sum &+= a &+ b &+ c &+ d
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

    /// What is stored as the checksum of what was added with the field at zero.
    @inline(__always)
    var value: UInt16 { ~folded }
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
        store(checksum: 0, at: 10)
        var sum = Checksum()
        sum.add(bytes.extracting(0..<length))
        store(checksum: sum.value, at: 10)
    }
}
