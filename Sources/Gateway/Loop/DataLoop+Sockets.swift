import LinuxIO
import TunnelCore

extension DataLoop {
    /// Goes over to another UDP port, 0 for a free one. If that can't be had, the old one stays.
    mutating func listen(on port: UInt16) throws(SystemError) {
        guard port == 0 || port != sockets.port else { return }
        var new = try UDPSocket.pair(port: port, fwmark: mark)
        Self.setOffloads(offloads, of: &new)
        flush()
        try Self.watch(&new, &epoll)
        // Closing the old ones takes them out of the epoll.
        tunnel.port = new.port
        sockets = new
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
