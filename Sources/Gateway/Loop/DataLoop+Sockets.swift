import LinuxIO
import TunnelCore

extension DataLoop {
    /// How long what is sent to the port before is still taken: longer than a peer that only sends goes without a word of ours
    /// from the new one (`Limits`: a keepalive after ten seconds).
    private static let grace = Interval.seconds(15)

    /// Goes over to another UDP port, 0 for a free one. If that can't be had, the old one stays. With `grace`, what peers still
    /// send to the old one is received for some time.
    mutating func listen(on port: UInt16, grace: Bool = false) throws(SystemError) {
        guard port == 0 || port != sockets.port else { return }
        var new = try UDPSocket.pair(port: port, fwmark: mark)
        Self.setOffloads(offloads, of: &new)
        flush()
        try Self.watch(&new, &epoll)
        tunnel.port = new.port
        swap(&sockets, &new)
        // Closing the old ones takes them out of the epoll.
        guard grace else { return }
        retire(new.v4?.descriptor, as: .retiredV4)
        retire(new.v6?.descriptor, as: .retiredV6)
        retired = new
        retiredUntil = Self.now().instant + Self.grace
    }

    private func retire(_ descriptor: Int32?, as source: Source) {
        if let descriptor { try? epoll.modify(descriptor, .read, token: source.rawValue) }
    }

    /// Marks what is sent from now on.
    mutating func setMark(_ mark: UInt32) throws(SystemError) {
        try sockets.v4?.setMark(mark)
        try sockets.v6?.setMark(mark)
        self.mark = mark
    }

    /// Waits for both sockets of a pair.
    static func watch(_ sockets: inout UDPSocketPair, _ epoll: inout Epoll) throws(SystemError) {
        if let descriptor = sockets.v4?.descriptor { try epoll.add(descriptor, token: Source.v4.rawValue) }
        if let descriptor = sockets.v6?.descriptor { try epoll.add(descriptor, token: Source.v6.rawValue) }
    }
}
