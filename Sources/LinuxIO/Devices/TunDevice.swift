public import CTun
import Glibc

/// A TUN or TAP interface that lives as long as this value: closing the descriptor removes it, with its addresses and
/// routes.
///
/// Every read and write begins with the 10 bytes of a `virtio_net_hdr` (native byte order), without protocol prefix. All
/// calls return at once.
public struct TunDevice: ~Copyable, Sendable {
    public enum Kind: Sendable {
        /// IP packets.
        case tun
        /// Ethernet frames.
        case tap
    }

    public enum State: Sendable {
        case up, down
        /// Somebody deleted the interface; the descriptor is of no more use.
        case gone
    }

    /// The size of that header.
    public static let headerSize = 10

    public let kind: Kind
    /// The name at the start. Others may rename the interface; `index` stays, until it moves to another namespace.
    public let name: String
    /// Its number in the namespace that we are in; 0 if it was in another when it was taken over.
    public let index: UInt32
    private let file: FileDescriptor

    /// Makes the interface `name` (1 to 15 bytes; `%d` becomes the first free number), down and without addresses.
    public init(name: String, kind: Kind) throws(SystemError) {
        let attempt = "make the interface \(name) with /dev/net/tun"
        let file = try FileDescriptor(ctun_tun_open(name.utf8Span.span, kind == .tap ? 1 : 0), attempt)
        let chosen = try Self.name(of: file.raw)
        let index = try Self.index(of: chosen)
        self.file = file
        self.kind = kind
        self.name = chosen
        self.index = index
    }

    /// Takes over an interface that somebody else made (`WG_TUN_FD`), and closes `descriptor` if it can't.
    ///
    /// Fails with `EPROTO` if it was made without `IFF_VNET_HDR` or without `IFF_NO_PI`.
    public init(adopting descriptor: consuming FileDescriptor) throws(SystemError) {
        let raw = descriptor.raw
        let isTap = try SystemError.check(ctun_tun_adopt(raw), "take over the TUN descriptor \(raw)") == 1
        let name = try Self.name(of: raw)
        let index = (try? Self.index(of: name)) ?? 0
        self.file = descriptor
        self.kind = isTap ? .tap : .tun
        self.name = name
        self.index = index
    }

    /// Removes the interface now.
    public consuming func close() {}

    /// For `Epoll`; borrowed.
    public var descriptor: Int32 { file.raw }

    /// Whether the interface is up, asked of the driver: right even when it was moved to another network namespace.
    public var state: State {
        switch ctun_tun_is_up(file.raw) {
        case 1: .up
        case 0: .down
        default: .gone
        }
    }

    /// The interface's name now; others may have given it another.
    public var currentName: String {
        get throws(SystemError) { try Self.name(of: file.raw) }
    }

    /// What the kernel may hand over uncut or without checksums, and take as such. None at the start.
    ///
    /// Fails with `EINVAL` if the kernel does not know one of them; what held before holds on.
    public func setOffloads(_ offloads: TunOffloads) throws(SystemError) {
        try SystemError.check(
            ctun_tun_set_offloads(file.raw, offloads.rawValue), "set the offloads of \(name) to \(offloads.rawValue)")
    }

    /// Reads one packet with its header: its length, or `-EAGAIN` if none waits, `-EBADFD` if the interface is gone.
    ///
    /// What is longer than `buffer` is cut: with offloads on, 10 + 65,535 bytes hold any.
    public func read(into buffer: inout MutableRawSpan) -> Int {
        ctun_tun_read(file.raw, &buffer)
    }

    /// Sends one packet with its header into the kernel: its length, or `-EINVAL` if the kernel refuses it, `-EIO` if
    /// the interface is down, `-EBADFD` if it is gone.
    @discardableResult
    public func write(_ packet: RawSpan) -> Int {
        ctun_tun_write(file.raw, packet)
    }

    /// The same for a packet in at most 1024 pieces; the first begins with the header.
    ///
    /// The pieces' memory is read before the call returns.
    @unsafe @discardableResult
    public func write(pieces: UnsafeBufferPointer<ctun_piece>) -> Int {
        unsafe ctun_tun_write_pieces(file.raw, pieces.baseAddress, pieces.count)
    }

    private static func index(of name: String) throws(SystemError) -> UInt32 {
        UInt32(try SystemError.check(ctun_interface_index(name.utf8Span.span), "find the interface \(name)"))
    }

    private static func name(of descriptor: Int32) throws(SystemError) -> String {
        var name = [UInt8](repeating: 0, count: 16)
        var span = name.mutableSpan
        try SystemError.check(ctun_tun_name(descriptor, &span), "ask for the name of a TUN device")
        return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
    }
}

/// What a TUN device and the kernel may leave to each other (`TUN_F_…` of `linux/if_tun.h`).
public struct TunOffloads: OptionSet, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Checksums of TCP and UDP. The others need it.
    public static let checksum = TunOffloads(rawValue: 0x01)
    /// TCP segmentation, IPv4 and IPv6.
    public static let tcp4 = TunOffloads(rawValue: 0x02)
    public static let tcp6 = TunOffloads(rawValue: 0x04)
    /// UDP segmentation, IPv4 and IPv6; since Linux 6.2, and only both at once.
    public static let udp4 = TunOffloads(rawValue: 0x20)
    public static let udp6 = TunOffloads(rawValue: 0x40)
}
