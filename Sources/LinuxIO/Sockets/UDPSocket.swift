public import Addresses
public import CTun

/// A bound, unconnected UDP socket of one family. One thread uses it at a time; no call waits, and none
/// allocates for each datagram.
///
/// Socket buffers of 1 MiB are asked for; the local address and the traffic class of everything received are noted.
/// Datagrams longer than the path allows are fragmented, as the kernel's WireGuard does.
@safe
public struct UDPSocket: ~Copyable, @unchecked Sendable {
    public enum Family: UInt8, Sendable {
        case v4 = 4
        /// IPv6 only: an IPv4 socket may have the same port.
        case v6 = 6
    }

    /// The most messages that one receive takes.
    public static let batch = 64
    /// The limits of one run that the kernel cuts: bytes and datagrams.
    public static let longestRun = 65_507
    public static let mostSegments = 64

    public let family: Family
    private let context: OpaquePointer
    private var outlets = Outlets()

    /// Binds to `port` of every local address, or to a free one for 0. A mark other than 0 needs `CAP_NET_ADMIN`.
    public init(family: Family, port: UInt16 = 0, fwmark: UInt32 = 0) throws(SystemError) {
        var context: OpaquePointer?
        let result = unsafe ctun_udp_open(Int32(family.rawValue), port, fwmark, &context)
        let what = port == 0 ? "a free UDP port" : "UDP port \(port)"
        try SystemError.check(result, "bind \(what) for IPv\(family.rawValue)")
        guard let context = unsafe context else { throw SystemError("bind \(what)", number: 0) }
        self.family = family
        unsafe self.context = context
    }

    /// Takes over a socket that another process has made, with what was set there; `dropped` is what `overflows` was.
    public init(
        adopting file: consuming FileDescriptor, family: Family, dropped: UInt32 = 0
    ) throws(SystemError) {
        var context: OpaquePointer?
        let result = unsafe ctun_udp_adopt(file.release(), Int32(family.rawValue), dropped, &context)
        try SystemError.check(result, "take over the socket for IPv\(family.rawValue)")
        guard let context = unsafe context else { throw SystemError("take over a socket", number: 0) }
        self.family = family
        unsafe self.context = context
    }

    deinit { unsafe ctun_udp_close(context) }

    /// Closes now; the port is free again.
    public consuming func close() {}

    /// For `Epoll`; borrowed.
    public var descriptor: Int32 { unsafe ctun_udp_descriptor(context) }

    public var localPort: UInt16 { unsafe ctun_udp_port(context) }

    /// Marks what is sent from now on, for policy routing; 0 for no mark.
    public mutating func setMark(_ mark: UInt32) throws(SystemError) {
        try SystemError.check(unsafe ctun_udp_set_mark(context, mark), "set the mark of UDP port \(localPort)")
    }

    /// Lets the kernel merge datagrams that arrive together (UDP_GRO); slots must then hold 65,535 bytes. Returns what
    /// holds afterwards: false where the kernel can't (before Linux 5.12).
    @discardableResult
    public mutating func setReceiveOffload(_ isOn: Bool) -> Bool {
        unsafe ctun_udp_set_receive_offload(context, isOn ? 1 : 0) == 1
    }

    /// Whether a run goes to the kernel as one message (UDP_SEGMENT): on from the start if the kernel can. A send
    /// switches it off when the interface can't.
    public var sendOffload: Bool { unsafe ctun_udp_send_offload(context) == 1 }

    /// Returns what holds afterwards.
    @discardableResult
    public mutating func setSendOffload(_ isOn: Bool) -> Bool {
        unsafe ctun_udp_set_send_offload(context, isOn ? 1 : 0) == 1
    }

    /// Datagrams that the kernel dropped because the receive buffer was full or the checksum wrong, as of the last receive;
    /// wraps. It is told with the datagrams that follow the loss.
    public var overflows: UInt32 { unsafe ctun_udp_overflows(context) }

    /// The next ICMP error that came for what was sent; `nil` if none waits. Where it says anything about a descriptor, epoll
    /// reports an error until all are taken.
    public mutating func takeError() -> ctun_udp_error? {
        var errors = InlineArray<1, ctun_udp_error>(repeating: ctun_udp_error())
        var span = errors.mutableSpan
        return unsafe ctun_udp_take_error(context, &span) == 1 ? errors[0] : nil
    }

    /// Takes up to `messages.count` (at most `batch`) messages that wait. Message i lies in slot i of `arena`.
    ///
    /// Returns their number, or -errno: `-EAGAIN` if none waits.
    public mutating func receive(
        into arena: inout MutableRawSpan, slotSize: Int, messages: inout MutableSpan<ctun_received>
    ) -> Int32 {
        unsafe messages.withUnsafeMutableBufferPointer { messages in
            unsafe ctun_udp_receive(context, &arena, slotSize, messages.baseAddress, messages.count)
        }
    }

    /// The outlet that a run of so many datagrams and bytes is to leave by, so that its owner keeps no other from sending: a
    /// number from 0 on, or `nil` for what is none of theirs. `nil` if the owner has too much on its way already: the run is to
    /// be dropped. Outlets are sockets on the same port that only send; they are opened when they are needed.
    public mutating func outlet(for owner: Int?, datagrams: Int, bytes: Int) -> Int? {
        unsafe outlets.choose(for: owner, taking: bytes + datagrams * Self.overhead, context)
    }

    /// The most that the kernel counts for a datagram beyond its bytes.
    private static let overhead = 1024

    /// Sends every run it can, in order, and notes in each what became of it (`source_refused`, `offload_refused`,
    /// `dropped`, `error`); one that fails stops no other. What finds its outlet's buffer full is dropped.
    ///
    /// A run longer than one datagram must keep to `longestRun` and `mostSegments`. The runs' memory is read before the
    /// call returns.
    @unsafe
    public mutating func send(_ runs: UnsafeMutableBufferPointer<ctun_run>) -> ctun_sent {
        unsafe ctun_udp_send(context, runs.baseAddress, runs.count)
    }

    /// Sends one run: for the messages that come singly. `sourceRefused` says that `source` should be forgotten.
    @discardableResult
    public mutating func send(
        _ bytes: RawSpan, segment: Int = 0, to remote: Endpoint, from source: LocalSource? = nil,
        trafficClass: UInt8 = 0
    ) -> (result: ctun_sent, sourceRefused: Bool) {
        unsafe bytes.withUnsafeBytes { bytes in
            var run = unsafe ctun_run(
                base: bytes.baseAddress, length: bytes.count, segment: segment, to: remote, from: source,
                trafficClass: trafficClass)
            let result = unsafe ctun_udp_send(context, &run, 1)
            return unsafe (result, run.source_refused == 1)
        }
    }
}
