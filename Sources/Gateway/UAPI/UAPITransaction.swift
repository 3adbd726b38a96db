import Addresses
import Control
import Keys
import LinuxIO
import NIOCore
import Synchronization
import TunnelCore

/// A `set=1` that is being done on the data thread, a portion each turn, so that packets need not wait for it.
///
/// The request was valid as a whole before. What can still fail is a port that is taken, and that is tried first: then
/// nothing has changed.
struct UAPITransaction: Sendable {
    /// The work of one turn at most: so many prefixes, or a sixteenth as many peers.
    private static let portion = 1000
    private static let costOfPeer = 16

    private let changes: [UAPIChange]
    /// The change that is due; -1 is the beginning.
    private var next = -1

    // The peer that the changes are about.
    private var peer: PublicKey?
    /// The peer is new: this request made it.
    private var isNew = false
    /// The peer is ourselves, or gone: what is said of it is passed over.
    private var isIgnored = false
    /// Its persistent keepalive, which takes effect when all else is said, so that what is sent then goes to the right place.
    private var keepalive: UInt16?
    /// The AllowedMACs of the file, which a peer that is made anew is not to be without.
    private var allowedMACs: [PublicKey: [MACAddress]] = [:]

    private init(_ changes: [UAPIChange]) { self.changes = changes }

    /// Does all of it; the number to answer.
    static func perform(_ changes: [UAPIChange], _ daemon: Daemon, on loop: any EventLoop) -> EventLoopFuture<Int> {
        let promise = loop.makePromise(of: Int.self)
        UAPITransaction(changes).post(daemon, promise)
        return promise.futureResult
    }

    private func post(_ daemon: Daemon, _ promise: EventLoopPromise<Int>) {
        let isPosted = daemon.commands.post { loop, now in
            var transaction = self
            do throws(UAPIError) {
                let isDone = try transaction.advance(&loop, daemon, at: now)
                if isDone { promise.succeed(0) } else { transaction.post(daemon, promise) }
            } catch {
                promise.succeed(error.rawValue)
            }
        }
        if !isPosted { promise.succeed(UAPIError.unknown.rawValue) }
    }

    /// Does a portion; true if that was the last.
    private mutating func advance(_ loop: inout DataLoop, _ daemon: Daemon, at now: Now) throws(UAPIError) -> Bool {
        // It would be lost.
        if loop.isHandedOver { throw .unknown }
        if next < 0 {
            try prepare(&loop, daemon)
            next = 0
        }
        var budget = Self.portion
        while budget > 0 {
            guard next < changes.count else {
                finishPeer(&loop.tunnel, at: now)
                return true
            }
            budget -= try perform(changes[next], &loop.tunnel, atMost: budget, at: now)
        }
        return false
    }

    /// Does what may fail.
    private mutating func prepare(_ loop: inout DataLoop, _ daemon: Daemon) throws(UAPIError) {
        do throws(SystemError) {
            let ofInterface = changes.prefix { if case .peer = $0 { false } else { true } }
            for case .listenPort(let port) in ofInterface { try loop.listen(on: port) }
            for case .fwmark(let mark) in ofInterface { try loop.setMark(mark) }
            daemon.note(loop)
            guard loop.tunnel.mode != .packets else { return }
            for peer in daemon.configuration.peers { allowedMACs[peer.publicKey] = peer.allowedMACs }
        } catch {
            daemon.log.error("\(error)")
            throw .portInUse
        }
    }

    /// Does one change, or part of it if it is about many prefixes; what it cost.
    private mutating func perform(
        _ change: UAPIChange, _ tunnel: inout Tunnel, atMost budget: Int, at now: Now
    ) throws(UAPIError) -> Int {
        switch change {
        case .fwmark, .listenPort: break
        case .privateKey(let key):
            if key?.publicKey != tunnel.publicKey { tunnel.setPrivateKey(key, at: now) }
        case .replacePeers:
            guard let peer = tunnel.somePeer else { break }
            return Self.remove(peer, &tunnel, atMost: budget).cost
        case .peer(let key):
            try begin(key, &tunnel, at: now)
        default:
            guard let peer, !isIgnored else { break }
            let (cost, isDone) = perform(change, of: peer, &tunnel, atMost: budget, at: now)
            if isDone { next += 1 }
            return cost
        }
        next += 1
        return Self.costOfPeer
    }

    private mutating func perform(
        _ change: UAPIChange, of peer: PublicKey, _ tunnel: inout Tunnel, atMost budget: Int, at now: Now
    ) -> (cost: Int, isDone: Bool) {
        switch change {
        case .updateOnly:
            guard isNew else { break }
            tunnel.removePeer(peer)
            isIgnored = true
        case .remove:
            let (cost, isDone) = Self.remove(peer, &tunnel, atMost: budget)
            isIgnored = isDone
            return (cost, isDone)
        case .presharedKey(let key): tunnel.setPresharedKey(key, of: peer)
        case .endpoint(let endpoint): tunnel.setEndpoint(endpoint, of: peer)
        case .persistentKeepalive(let seconds): keepalive = seconds
        case .replaceAllowedIPs:
            let removed = tunnel.disallowSome(of: peer, atMost: budget)
            return (removed + 1, removed < budget)
        case .allow(let prefix): tunnel.allow(prefix, for: peer)
        case .disallow(let prefix): tunnel.disallow(prefix, for: peer)
        case .compression(let compression):
            tunnel.setCompression(compression.mode, of: peer, at: now)
        case .cipher(let cipher): tunnel.setCipher(cipher.policy, of: peer, at: now)
        default: break
        }
        return (1, true)
    }

    private mutating func begin(_ key: PublicKey, _ tunnel: inout Tunnel, at now: Now) throws(UAPIError) {
        finishPeer(&tunnel, at: now)
        peer = key
        isIgnored = key == tunnel.publicKey
        isNew = !tunnel.hasPeer(key)
        guard isIgnored || tunnel.addPeer(key) else { throw .invalid }
        if isNew, !isIgnored { tunnel.setAllowedMACs(allowedMACs[key], of: key) }
    }

    private mutating func finishPeer(_ tunnel: inout Tunnel, at now: Now) {
        if let peer, !isIgnored, let keepalive {
            tunnel.setPersistentKeepalive(keepalive == 0 ? nil : .seconds(Int64(keepalive)), of: peer, at: now)
        }
        keepalive = nil
        peer = nil
    }

    /// Removes a peer, its prefixes first.
    private static func remove(
        _ peer: PublicKey, _ tunnel: inout Tunnel, atMost budget: Int
    ) -> (cost: Int, isDone: Bool) {
        let removed = tunnel.disallowSome(of: peer, atMost: budget)
        guard removed < budget else { return (removed, false) }
        tunnel.removePeer(peer)
        return (removed + costOfPeer, true)
    }
}
