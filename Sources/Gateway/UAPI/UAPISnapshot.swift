import Addresses
import Control
import Keys
import LinuxIO
import NIOCore
import TunnelCore

/// The content of a reply to `get=1`, taken from the data thread in parts.
struct UAPISnapshot: Sendable {
    /// Places for peers that one turn looks at.
    private static let portion = 256

    fileprivate(set) var privateKey: PrivateKey?
    fileprivate(set) var listenPort: UInt16 = 0
    fileprivate(set) var mark: UInt32 = 0
    /// The peers in the order in which they were added; their AllowedIPs are in `allowedIPs`.
    fileprivate(set) var peers: [TunnelCore.PeerStatistics] = []
    fileprivate(set) var allowedIPs = AllowedIPs()
    private var parts = StatisticsInParts()

    private init() {}

    static func take(_ daemon: Daemon, on loop: any EventLoop) -> EventLoopFuture<UAPISnapshot> {
        let promise = loop.makePromise(of: UAPISnapshot.self)
        UAPISnapshot().post(daemon, promise)
        return promise.futureResult.map { snapshot in
            var snapshot = snapshot
            snapshot.peers = snapshot.parts.peers
            snapshot.allowedIPs = snapshot.parts.allowedIPs
            snapshot.parts = StatisticsInParts()
            return snapshot
        }
    }

    private func post(_ daemon: Daemon, _ promise: EventLoopPromise<UAPISnapshot>) {
        let isPosted = daemon.commands.post { loop, now in
            var snapshot = self
            let isWhole = snapshot.parts.advance(loop.tunnel, atMost: Self.portion, at: now.instant)
            guard isWhole else { return snapshot.post(daemon, promise) }
            snapshot.privateKey = loop.tunnel.privateKey
            snapshot.listenPort = loop.sockets.port
            snapshot.mark = loop.mark
            promise.succeed(snapshot)
        }
        if !isPosted { promise.fail(UAPIError.unknown) }
    }
}

/// The reply to `get=1`, written piece by piece as the client reads it.
struct UAPIReply: ~Copyable {
    private let snapshot: UAPISnapshot
    private var text = UAPIText()
    /// The next peer, and what of the one before is still to be told.
    private var peer = 0
    private var prefixes: ArraySlice<Prefix> = []
    private var isOver = false

    init(_ snapshot: UAPISnapshot) {
        self.snapshot = snapshot
        text.append(privateKey: snapshot.privateKey, listenPort: snapshot.listenPort, fwmark: snapshot.mark)
    }

    /// The next piece; `nil` after the last.
    mutating func next() -> ByteBuffer? {
        guard !isOver else { return nil }
        while text.bytes.count < UAPIText.piece {
            if let prefix = prefixes.popFirst() {
                text.append(allowed: prefix)
                continue
            }
            if peer > 0 { text.append(UAPIPeer.Ours(snapshot.peers[peer - 1])) }
            guard peer < snapshot.peers.count else {
                text.append(errno: 0)
                isOver = true
                break
            }
            text.append(UAPIPeer(snapshot.peers[peer]))
            prefixes = snapshot.allowedIPs.prefixes(of: snapshot.peers[peer].id)[...]
            peer += 1
        }
        return text.takeBuffer()
    }
}

extension UAPIPeer {
    fileprivate init(_ peer: TunnelCore.PeerStatistics) {
        self.init(publicKey: peer.publicKey)
        presharedKey = peer.presharedKey
        endpoint = peer.endpoint
        if let time = peer.lastHandshake { lastHandshake = (time.seconds, time.nanoseconds) }
        sent = peer.sent
        received = peer.received
        persistentKeepalive = UInt16(clamping: (peer.persistentKeepalive?.nanoseconds ?? 0) / 1_000_000_000)
    }
}

extension UAPIPeer.Ours {
    fileprivate init(_ peer: TunnelCore.PeerStatistics) {
        self.init(compression: peer.compression.name, cipher: peer.cipher.name)
        plainSent = peer.traffic.sent.plain
        wireSent = peer.traffic.sent.wire
        plainReceived = peer.traffic.received.plain
        wireReceived = peer.traffic.received.wire
    }
}
