/// Something that happened to an interface or a peer: a line of the log with what a program needs of it (`GET /v1/events`).
public struct GatewayEvent: Codable, Hashable, Sendable {
    /// Words that the field `kind` has. A contract: more may come, none goes.
    public enum Kind: String, CaseIterable, Sendable {
        /// A session was made.
        case handshake
        /// Our handshake gets no answer; it was given up.
        case unanswered, givenUp
        /// A handshake was refused.
        case refused
        /// Something keeps a peer from being reached.
        case problem
        /// The peer said that it is a gateway and what it takes; the two ends do not fit.
        case negotiated, mismatch
        /// The peer talks from somewhere else.
        case roamed
        /// All its keys were wiped after a long silence.
        case wiped
        /// The path takes datagrams of another size than was known.
        case pathMTU
        /// Sessions are post-quantum now, or are no more; a peer takes no part in that.
        case keyExchange
        /// Packets or datagrams went no further, more than a few.
        case drops
        /// What waits in front of a link with a rate stands, or stands no more.
        case queue
        /// The file was read again, or could not be.
        case reload
        /// More happened than the log takes.
        case leftOut
        /// Anything else that the log says.
        case log
    }

    public enum Level: String, Codable, Sendable {
        case info, warning, error
    }

    /// Counts up by one; begins anew with the daemon.
    public var id: UInt64
    /// Seconds since 1970, to the millisecond.
    public var time: Double
    public var kind: String
    public var level: Level
    /// The name of the peer that it is about, if it has one.
    public var peer: String?
    /// The public key of that peer, in base64.
    public var publicKey: String?
    /// The line of the log.
    public var text: String

    public init(
        id: UInt64 = 0, time: Double = 0, _ kind: Kind, _ level: Level, peer: String? = nil, publicKey: String? = nil,
        text: String
    ) {
        self.id = id
        self.time = time
        self.kind = kind.rawValue
        self.level = level
        self.peer = peer
        self.publicKey = publicKey
        self.text = text
    }

    /// Whether it is about the peer with this name or public key.
    public func isAbout(_ peer: String) -> Bool { self.peer == peer || publicKey == peer }
}

/// A part of the history: the answer to `GET /v1/events`.
public struct EventPage: Codable, Hashable, Sendable {
    /// The oldest first.
    public var events: [GatewayEvent]
    /// What to ask for next, as `since`.
    public var next: UInt64
    /// How many that were asked for are no longer there.
    public var lost: UInt64

    public init(events: [GatewayEvent], next: UInt64, lost: UInt64) {
        self.events = events
        self.next = next
        self.lost = lost
    }
}

/// The answer to `GET /v1/peers`.
public struct PeerList: Codable, Hashable, Sendable {
    public var interface: String
    public var peers: [PeerStatistics]

    public init(interface: String, peers: [PeerStatistics]) {
        self.interface = interface
        self.peers = peers
    }
}

/// The answer to `POST /v1/reload`.
public struct ReloadReply: Codable, Hashable, Sendable {
    /// What the log says of it, line by line.
    public var messages: [String]
    /// Each difference between the file and what held; absent from older daemons.
    public var changes: [ReloadChange]?
    /// Peers that were changed otherwise than by the file meanwhile, by name or key, and are left as they are.
    public var changedMeanwhile: [String]?

    public init(messages: [String], changes: [ReloadChange]? = nil, changedMeanwhile: [String]? = nil) {
        self.messages = messages
        self.changes = changes
        self.changedMeanwhile = changedMeanwhile
    }
}

/// A difference between the file and what held before it was read again.
public struct ReloadChange: Codable, Hashable, Sendable {
    /// `ListenPort 51820 → 7000`, `peer far: AllowedIPs`
    public var what: String
    /// Whether it holds now, or would.
    public var isApplied: Bool
    /// Why it does not; absent if it does.
    public var reason: String?

    public init(_ what: String, reason: String? = nil) {
        self.what = what
        isApplied = reason == nil
        self.reason = reason
    }
}
