public import Addresses
import CTun

/// ICMP errors as the kernel sends its own: from the address that it would choose.
public struct ICMPAnswer: Sendable {
    /// What they come from; `nil` if there is no way to the one that asked for it.
    public let source: IPAddress?

    /// `towards` is where the packet was to go: its interface's own address, if it has one, else another of ours.
    /// Takes some 20 µs.
    public init(towards destination: IPAddress) {
        guard var netlink = try? Netlink() else {
            source = nil
            return
        }
        source = (try? netlink.path(to: destination))?.source
    }

}

/// Sends ICMP messages, which takes `CAP_NET_RAW` when it is made, and then no more.
public struct ICMPSocket: ~Copyable, Sendable {
    /// `nil` where that is not allowed.
    private let file: FileDescriptor?

    public init() {
        let result = ctun_icmp_open()
        file = result < 0 ? nil : FileDescriptor(owning: result)
    }

    /// Sends an ICMP message of IPv4 to a host; false if that is not possible. Through the device it could not come from an
    /// address of ours: the kernel takes that for a forgery.
    public func send(_ message: [UInt8], from answer: ICMPAnswer, to host: IPAddress) -> Bool {
        guard case .v4(let from) = answer.source, case .v4(let to) = host else { return false }
        switch file {
        case .some(let file): return ctun_icmp_send(file.raw, from, to, message.span) == 0
        case .none: return false
        }
    }
}
