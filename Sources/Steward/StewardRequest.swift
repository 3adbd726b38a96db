public import Addresses
public import Control
public import Keys
import LinuxIO

/// What the daemon may ask of its steward. No request names a file, a command or a program: those the steward knows itself.
public enum StewardRequest: Sendable {
    // About the operator's commands.
    case runHooks(HookMoment)
    case interruptHooks

    // About files.
    /// The config file and what it names, as they are now.
    case readConfiguration
    /// What was read last holds from now on.
    case adoptConfiguration
    /// The name servers of the configuration that holds are to be the system's.
    case setNameServers
    case storeKey(PrivateKey)
    /// Writes down the private key that is to be the next one, or takes it away.
    case storeNextKey(PrivateKey?)
    /// What `SaveConfig` keeps.
    case saveConfiguration([SavedPeer])
    /// A peer in the config file is to be another.
    case editPeer(PeerEdit)
    /// The file is to be as it was before that.
    case takeBackEdit

    // About names.
    case resolve(HostAndPort)

    // About the packet filter and the kernel's settings.
    case makeFirewall(FirewallRules)
    case removeFirewall([NetworkFamily])
    case sweepFirewall
    case acceptMarkedReplies

    // About sockets.
    case listen(Door)
    case removeSocket(Door)
    /// Something that is readable when the socket's file is removed.
    case watchSocket(Door)
    case isSocketGone(Door)
    /// A netlink socket beside the device whose descriptor comes with this.
    case openNetlink
    /// Standard output and error are to be nobody's.
    case releaseOutput

    // About an upgrade.
    /// The process that is to take the daemon's place begins.
    case beginSuccessor
    /// It is to end.
    case endSuccessor
    /// So many bytes of memory, which even the kernel can't read if that can be had and is wanted.
    case makeMemory(UInt64, isSecret: Bool)
}

/// When commands of the operator's run.
public enum HookMoment: UInt8, Sendable, CaseIterable {
    case preUp = 1, postUp, preDown, postDown
    /// A command of `PostUp` failed: name servers are not to stay behind.
    case failure
}

/// The two sockets that others speak to the daemon by.
public enum Door: UInt8, Sendable, CaseIterable {
    case control = 1, uapi
}

/// A family of addresses.
public enum NetworkFamily: UInt8, Sendable, CaseIterable {
    case v4 = 4, v6 = 6
}

/// What `SaveConfig` keeps of a peer.
public struct SavedPeer: Sendable {
    public let publicKey: PublicKey
    public let endpoint: Endpoint?
    public let presharedKey: PresharedKey?

    public init(_ publicKey: PublicKey, endpoint: Endpoint?, presharedKey: PresharedKey?) {
        self.publicKey = publicKey
        self.endpoint = endpoint
        self.presharedKey = presharedKey
    }
}

/// The rules of the packet filter that a default route needs.
public struct FirewallRules: Sendable, Equatable {
    public let families: [NetworkFamily]
    public let mark: UInt32
    /// The tunnel's own.
    public let addresses: [IPAddress]

    public init(_ families: [NetworkFamily], mark: UInt32, addresses: [IPAddress]) {
        self.families = families
        self.mark = mark
        self.addresses = addresses
    }
}

extension StewardRequest {
    /// The most that a list holds.
    private static let mostPeers = 65_536
    private static let mostAddresses = 4096
    private static let longestName = 255
    /// What the state of so many peers takes, and as much again.
    static let mostMemory: UInt64 = 2 << 30

    var bytes: [UInt8] {
        var message = MessageWriter()
        switch self {
        case .runHooks(let moment):
            message.append(UInt8(1))
            message.append(moment.rawValue)
        case .interruptHooks: message.append(UInt8(2))
        case .readConfiguration: message.append(UInt8(10))
        case .adoptConfiguration: message.append(UInt8(13))
        case .setNameServers: message.append(UInt8(14))
        case .storeKey(let key):
            message.append(UInt8(11))
            message.append(secret: key.bytes)
        case .storeNextKey(let key):
            message.append(UInt8(17))
            message.append(key) { $0.append(secret: $1.bytes) }
        case .saveConfiguration(let peers):
            message.append(UInt8(12))
            message.append(peers) { message, peer in
                message.append(peer.publicKey)
                message.append(peer.endpoint) { $0.append($1) }
                message.append(peer.presharedKey) { $0.append(secret: $1.bytes) }
            }
        case .editPeer(let edit):
            message.append(UInt8(15))
            message.append(edit.kind.rawValue)
            message.append(edit.peer)
            message.append(edit.values) { message, value in
                message.append(value.key)
                message.append(value.text)
            }
        case .takeBackEdit: message.append(UInt8(16))
        case .resolve(let host):
            message.append(UInt8(20))
            message.append(host.description)
        case .makeFirewall(let rules):
            message.append(UInt8(30))
            message.append(rules.families) { $0.append($1.rawValue) }
            message.append(rules.mark)
            message.append(rules.addresses) { $0.append($1) }
        case .removeFirewall(let families):
            message.append(UInt8(31))
            message.append(families) { $0.append($1.rawValue) }
        case .sweepFirewall: message.append(UInt8(32))
        case .acceptMarkedReplies: message.append(UInt8(33))
        case .listen(let door): message.append(40, door)
        case .removeSocket(let door): message.append(41, door)
        case .watchSocket(let door): message.append(42, door)
        case .isSocketGone(let door): message.append(43, door)
        case .openNetlink: message.append(UInt8(44))
        case .releaseOutput: message.append(UInt8(45))
        case .beginSuccessor: message.append(UInt8(50))
        case .endSuccessor: message.append(UInt8(51))
        case .makeMemory(let size, let isSecret):
            message.append(UInt8(52))
            message.append(UInt32(truncatingIfNeeded: size))
            message.append(UInt32(truncatingIfNeeded: size >> 32))
            message.append(isSecret)
        }
        return message.bytes
    }

    init(_ bytes: [UInt8]) throws(MessageReader.Malformed) {
        var message = MessageReader(bytes)
        switch try message.byte() {
        case 1: self = .runHooks(try message.choice())
        case 2: self = .interruptHooks
        case 10: self = .readConfiguration
        case 11:
            var key = try message.secret()
            self = .storeKey(PrivateKey(consuming: &key))
        case 12:
            self = .saveConfiguration(
                try message.list(atMost: Self.mostPeers) { message throws(MessageReader.Malformed) in
                    let key = try message.publicKey()
                    let endpoint = try message.optional { message throws(MessageReader.Malformed) in
                        try message.endpoint()
                    }
                    let secret = try message.optional { message throws(MessageReader.Malformed) -> PresharedKey in
                        var key = try message.secret()
                        return PresharedKey(consuming: &key)
                    }
                    return SavedPeer(key, endpoint: endpoint, presharedKey: secret)
                })
        case 13: self = .adoptConfiguration
        case 14: self = .setNameServers
        case 15:
            let kind: PeerEdit.Kind = try message.choice()
            let peer = try message.text(atMost: PeerEdit.longestText)
            let values = try message.list(atMost: PeerEdit.mostValues) { message throws(MessageReader.Malformed) in
                let key = try message.text(atMost: PeerEdit.longestText)
                return PeerEdit.Value(key: key, text: try message.text(atMost: PeerEdit.longestText))
            }
            guard let edit = PeerEdit(kind, peer, values) else { throw MessageReader.Malformed() }
            self = .editPeer(edit)
        case 16: self = .takeBackEdit
        case 17:
            self = .storeNextKey(
                try message.optional { message throws(MessageReader.Malformed) -> PrivateKey in
                    var key = try message.secret()
                    return PrivateKey(consuming: &key)
                })
        case 20:
            guard let host = HostAndPort(try message.text(atMost: Self.longestName + 8)) else {
                throw MessageReader.Malformed()
            }
            self = .resolve(host)
        case 30:
            let families = try message.families()
            let mark = try message.uint32()
            let addresses = try message.list(atMost: Self.mostAddresses) { message throws(MessageReader.Malformed) in
                try message.address()
            }
            self = .makeFirewall(FirewallRules(families, mark: mark, addresses: addresses))
        case 31: self = .removeFirewall(try message.families())
        case 32: self = .sweepFirewall
        case 33: self = .acceptMarkedReplies
        case 40: self = .listen(try message.choice())
        case 41: self = .removeSocket(try message.choice())
        case 42: self = .watchSocket(try message.choice())
        case 43: self = .isSocketGone(try message.choice())
        case 44: self = .openNetlink
        case 45: self = .releaseOutput
        case 50: self = .beginSuccessor
        case 51: self = .endSuccessor
        case 52:
            let low = UInt64(try message.uint32())
            let size = low | UInt64(try message.uint32()) << 32
            guard size <= Self.mostMemory else { throw MessageReader.Malformed() }
            self = .makeMemory(size, isSecret: try message.bool())
        default: throw MessageReader.Malformed()
        }
        try message.finish()
    }
}

extension MessageWriter {
    fileprivate mutating func append(_ kind: UInt8, _ door: Door) {
        append(kind)
        append(door.rawValue)
    }
}

extension MessageReader {
    fileprivate mutating func choice<Choice: RawRepresentable<UInt8>>() throws(Malformed) -> Choice {
        guard let choice = Choice(rawValue: try byte()) else { throw Malformed() }
        return choice
    }

    fileprivate mutating func families() throws(Malformed) -> [NetworkFamily] {
        try list(atMost: 2) { message throws(Malformed) in try message.choice() }
    }
}
