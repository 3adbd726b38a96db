import CTun
import Glibc

/// Asks the kernel about interfaces, addresses and routes, and changes them (rtnetlink), in the network namespace of
/// the thread that made it.
///
/// One request at a time; each waits for its answer, at most two seconds. Changes need `CAP_NET_ADMIN`: without it they
/// fail with `EPERM`.
public struct Netlink: ~Copyable, Sendable {
    private let file: FileDescriptor
    private var sequence: UInt32 = 0
    /// The kernel fills at most 32 KiB of one datagram when it lists.
    private var buffer = [UInt8](repeating: 0, count: 32 << 10)

    public init() throws(SystemError) {
        file = try FileDescriptor(ctun_netlink_open(0), "open a netlink socket")
    }

    /// Takes over a socket, perhaps of another namespace (`TunDevice.openNetlinkBeside`), which lives at least as long as this
    /// value: let it go soon.
    public init(adopting socket: consuming FileDescriptor) { file = socket }

    /// Starts a request; `send` or `ask` finishes it.
    mutating func request(_ type: UInt16, flags: UInt16 = 0) -> NetlinkRequest {
        sequence &+= 1
        return NetlinkRequest(type, flags: flags, sequence: sequence)
    }

    /// Sends a change and waits until the kernel has made it.
    mutating func send(_ request: NetlinkRequest, _ attempt: @autoclosure () -> String) throws(SystemError) {
        _ = try ask(request, attempt())
    }

    /// Sends a question and returns the answers: one, or for a list all of them.
    mutating func ask(
        _ request: NetlinkRequest, _ attempt: @autoclosure () -> String
    ) throws(SystemError) -> [NetlinkMessage] {
        let socket = file.raw
        let message = request.finished()
        try SystemError.check(ctun_netlink_send(socket, message.span), attempt())
        var answers: [NetlinkMessage] = []
        while true {
            var span = buffer.mutableSpan
            let length = try SystemError.check(ctun_netlink_receive(socket, &span, 2000), attempt())
            for message in NetlinkMessage.all(in: buffer.prefix(Int(length))) where message.sequence == sequence {
                switch message.type {
                case RTNetlink.error, RTNetlink.done:
                    // Both carry 0 or -errno; a list's end may carry nothing.
                    let result = message.body.native(Int32.self, at: 0) ?? 0
                    try SystemError.check(result, attempt())
                    return answers
                default:
                    answers.append(message)
                }
            }
        }
    }
}
