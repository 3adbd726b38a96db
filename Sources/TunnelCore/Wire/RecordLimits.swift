/// The limits of records, in bytes.
struct RecordLimits {
    /// The MTU, which the padding of a plain packet must not exceed.
    var mtu: Int
    /// The largest payload with a record: that of the largest plain packet.
    let payload: Int
    /// The peer puts fragments together.
    let fragments: Bool

    init(payload: Int, fragments: Bool) {
        mtu = payload
        self.payload = max(min(payload, Limits.datagram - Transport.overhead), Hello.maximumSize + Limits.padding)
        self.fragments = fragments
    }

    /// The size of a record of `size` bytes with its padding.
    @inline(__always)
    func padded(_ size: Int) -> Int { Transport.paddedSize(size, mtu: payload) }

    /// The bytes of a record of which each fragment carries one part.
    var piece: Int { payload - FragmentRecord.headerSize }

    /// The largest body of a record that goes in one datagram.
    var body: Int { payload - Record.headerSize }

    /// In how many datagrams a record of `size` bytes goes; 0: in none.
    func pieces(of size: Int) -> Int {
        if size <= payload { return 1 }
        let pieces = (size + piece - 1) / piece
        return fragments && pieces <= FragmentRecord.mostPieces ? pieces : 0
    }

    /// The bytes that a record of `size` bytes takes on the wire; endless if it can't go.
    func wireSize(of size: Int) -> Int {
        let pieces = pieces(of: size)
        if pieces == 1 { return Transport.wireSize(padded(size)) }
        let piece = FragmentRecord(number: 0, size: size, index: 0, count: max(pieces, 1)).step
        return pieces == 0 ? .max : pieces * Transport.wireSize(padded(FragmentRecord.headerSize + piece))
    }
}
