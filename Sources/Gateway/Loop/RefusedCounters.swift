import LinuxIO

/// Packets, datagrams and jobs that somebody did not take.
struct RefusedCounters: Sendable {
    /// Packets that the device did not accept.
    var packets: UInt64 = 0
    /// Datagrams that no socket sent.
    var datagrams: UInt64 = 0
    /// Datagrams that the kernel dropped because a socket's buffer was full.
    var received: UInt64 = 0
    /// Datagrams that it dropped because their checksum was wrong.
    var checksums: UInt64 = 0
    /// Packets that the kernel dropped because the device's queue was full.
    var unread: UInt64 = 0
    /// Handshake messages for which the other thread had no time.
    var handshakes: UInt64 = 0
}

extension DataLoop {
    /// The counts of what the system has refused so far. Asks the kernel about the device, which takes some 50 µs.
    mutating func refusals() -> RefusedCounters {
        let dropped = UInt64(sockets.v4?.overflows ?? 0) + UInt64(sockets.v6?.overflows ?? 0)
        // Reading the kernel's counters takes some 100 µs.
        if dropped != refused.received + refused.checksums {
            refused.checksums = losses.read().checksums(of: dropped, since: lossesAtStart)
        }
        refused.received = dropped - refused.checksums
        if var netlink = try? netlinkBesideDevice(), let drops = try? device.transmitDrops(&netlink) {
            refused.unread = drops
        }
        return refused
    }
}
