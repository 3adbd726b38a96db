/// The constants of the protocol: WireGuard's from the whitepaper §6 and the reference implementations, then ours.
public enum Limits {
    // MARK: WireGuard

    /// After this many messages a sender asks for a new session.
    public static let rekeyAfterMessages: UInt64 = 1 << 60
    /// From this counter on nothing is sent or accepted.
    public static let rejectAfterMessages: UInt64 = .max - (1 << 13)
    /// The initiator of a session renews it when it sends after this time.
    public static let rekeyAfterTime = Interval.seconds(120)
    /// A session is not used after this time.
    public static let rejectAfterTime = Interval.seconds(180)
    /// An unanswered initiation is sent again after this time, and never sooner.
    public static let rekeyTimeout = Interval.seconds(5)
    /// Up to this much is added to `rekeyTimeout`, at random.
    public static let rekeyJitter = Interval.milliseconds(333)
    /// Initiations are given up after 90 s: 18 of them.
    public static let handshakeAttempts = 18
    /// Data that is not answered by data is answered by a keepalive after this time.
    public static let keepaliveTimeout = Interval.seconds(10)
    /// Data that nothing answers for this time starts a new handshake.
    public static let newHandshakeTimeout = keepaliveTimeout + rekeyTimeout
    /// An initiator that receives on a session older than this renews it, so that it doesn't run out in silence.
    public static let rekeyOnReceiveAfter = Interval.seconds(180 - 10 - 5)
    /// Keys are wiped this long after the last handshake.
    public static let wipeAfter = rejectAfterTime * 3
    /// A peer's initiations are not answered more often than this.
    public static let initiationInterval = Interval.milliseconds(20)
    /// Under load, an address is answered once in this time, and so many times at once.
    public static let initiationCost = Interval.milliseconds(1000 / 20)
    public static let initiationsAtOnce: Int64 = 5
    /// A cookie, and the secret it is made from, is good for this time.
    public static let cookieLifetime = Interval.seconds(120)
    /// A cookie is not used in its last seconds, since its way takes time.
    public static let cookieLatency = Interval.seconds(5)
    /// Payloads are padded to a multiple of this.
    public static let padding = 16
    /// Packets that wait for a session, per peer.
    public static let stagedPackets = 128
    /// The type of service of handshake messages: AF41.
    public static let handshakeTrafficClass: UInt8 = 0x88

    // MARK: Bounds of this implementation

    /// Bytes that wait for a session, per peer.
    public static let stagedBytes = 256 * 1024
    /// Handshake messages that wait for the handshake thread.
    public static let handshakeQueue = 1024
    /// From this many on, the sender of an initiation must prove its address with a cookie.
    public static let handshakeLoad = handshakeQueue / 8
    /// The load is taken to last this long.
    public static let loadLatency = Interval.seconds(1)
    /// Packets that went nowhere and whose senders are still to be told.
    public static let refusals = 64
    /// Peers of one interface.
    public static let peers = 1 << 16
    /// The largest UDP payload.
    public static let datagram = 65_507
    /// The largest packet, or super-segment, that a device hands over or takes.
    public static let packet = 65_535
    /// What one read of the device takes at most: a virtio header and an IP packet of any size, and an Ethernet header with tags before it.
    public static let deviceRead = 10 + 24 + packet + 1
    /// The largest unit that a peer may code.
    public static let unit = packet

    /// A thread that slept so long had nothing left to do.
    public static let rest = Interval(nanoseconds: 50_000)

    // MARK: Gateway records

    /// When a HELLO that nothing confirms is sent again, counted from the one before.
    public static let helloRepeats: [Interval] = [
        .milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2),
    ]
    /// After those, as long as there is traffic.
    public static let helloInterval = Interval.seconds(15)
    /// After this many messages under AES-256-GCM a sender asks for a new session, and after the other sends none: its
    /// nonces never repeat, and the data under one key stays far below the bounds of SP 800-38D §8.3.
    public static let aesRekeyAfterMessages: UInt64 = 1 << 32
    public static let aesRejectAfterMessages: UInt64 = 1 << 34
    /// A peer that was silent for this many sessions is asked once a session.
    public static let helloSilentSessions = 3
    /// So many messages carry a CONFIRM; after them the peer is asked by a HELLO.
    static let confirmations = 4
    /// The one that owes a CONFIRM waits so long for a message that it can go with, if data came.
    static let confirmationDelay = Interval.seconds(1)
    /// Data with nothing behind it for so long is followed by a probe, where datagrams get lost.
    static let probeAfter = Interval.milliseconds(3)
    /// Datagrams that one RECEIPT makes us send again, or look for, at most.
    static let resendsAtOnce = 512
    /// Packets in one record.
    public static let recordPackets = 128
}
