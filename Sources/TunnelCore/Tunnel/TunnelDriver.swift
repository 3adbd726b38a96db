/// Whoever drives a `Tunnel`: it hands in what a device and sockets have read, and gives them what comes out.
///
/// A tunnel's outbox and inbox have bounds, and the inbox borrows the buffers that datagrams were received into. What follows
/// from that stands here once, for the data thread, the estimate and the tests; a driver says only where things go.
///
///     device has read ─▶ tunnel.handleDeviceRead ─▶ makeRoomToSend
///     … no more       ─▶ sendGathered
///     socket has read ─▶ tunnel.handleDatagram ───▶ makeRoom
///     … no more       ─▶ flush, before the buffer is received into again
///     … in no socket  ─▶ handleKept, and at once another turn if tunnel.hasKept still
///     a result came   ─▶ take
///     a time came     ─▶ handleTimeouts: timers, and what a link with a rate lets go
///
/// Once nothing more of any of these is at hand, `sendGathered`, since a hub and a result gather too, and `flush`.
///
/// The functions can be inlined, so that they are specialised for the type that drives: nothing is allocated or looked up.
public protocol TunnelDriver: ~Copyable {
    /// Lends the tunnel. It is no property, since the accessor that lends what can't be copied is a coroutine, whose frame is
    /// allocated at every call.
    mutating func withTunnel<Result>(_ body: (inout Tunnel) -> Result) -> Result

    /// Gives the device one write of the tunnel's inbox, which is finished. What it borrows may change afterwards.
    mutating func write(_ write: Inbox.Write)

    /// Sends all runs of the tunnel's outbox, of which there are some. Their memory is used again afterwards.
    mutating func sendRuns()
}

extension TunnelDriver where Self: ~Copyable {
    /// Sends the outbox if the next input from the device, or the next batch, might not find room in it.
    @inlinable @inline(__always)
    public mutating func makeRoomToSend() {
        if !withTunnel({ $0.hasRoomToSend }) { send() }
    }

    /// Writes the inbox and sends the outbox if the next datagram might not find room in either.
    @inlinable @inline(__always)
    public mutating func makeRoom() {
        if !withTunnel({ $0.inbox.hasRoom && $0.hasRoomToSend }) { flush() }
    }

    /// Writes the inbox and sends the outbox.
    @inlinable
    public mutating func flush() {
        write()
        send()
    }

    /// Writes the inbox to the device. Nothing is borrowed any more then.
    @inlinable
    public mutating func write() {
        // What was decoded takes room, even if none of it is for the device.
        defer { withTunnel { $0.inbox.clear() } }
        let count = withTunnel { $0.inbox.count }
        guard count > 0 else { return }
        withTunnel { $0.inbox.finish() }
        for index in 0..<count {
            let next = withTunnel { $0.inbox[index] }
            write(next)
        }
    }

    /// Sends the outbox, and what is for all peers and finds room in it only then.
    @inlinable
    public mutating func send() {
        repeat {
            guard withTunnel({ $0.outbox.count }) > 0 else { continue }
            sendRuns()
            withTunnel { $0.outbox.clear() }
        } while withTunnel({ $0.goOnFlooding() })
    }

    /// Puts all that was gathered into the outbox: the device, or a hub, has nothing more for now.
    @inlinable
    public mutating func sendGathered(at now: Now) {
        while sendBatch(at: now) {}
    }

    /// Does so with one batch of it; false if there is none.
    @inlinable @inline(__always)
    public mutating func sendBatch(at now: Now) -> Bool {
        guard withTunnel({ $0.sendGathered(at: now) }) else { return false }
        makeRoomToSend()
        return true
    }

    /// Takes what came of a handshake. It may send all that waited for its session.
    @inlinable
    public mutating func take(_ result: HandshakeResult, at now: Now) {
        makeRoomToSend()
        withTunnel { $0.handle(result, at: now) }
    }

    /// Goes on with messages of a peer that had its share of a turn before, until it has had it again.
    @inlinable
    public mutating func handleKept(at now: Now) {
        guard withTunnel({ $0.hasKept }) else { return }
        while withTunnel({ $0.handleKept(at: now) }) { makeRoom() }
        flush()
    }

    /// Does all that is due, the queue's sends among it, and what has waited for the device: for many peers at once, that is more than
    /// outbox and inbox hold.
    @inlinable
    public mutating func handleTimeouts(at now: Now) {
        while let due = withTunnel({ $0.nextTimeout }), due <= now.instant {
            makeRoom()
            withTunnel { $0.handleTimeout(at: now) }
        }
    }
}
