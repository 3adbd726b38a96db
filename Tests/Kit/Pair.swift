import Addresses
import Keys

@testable import TunnelCore

/// Two gateways that know each other, on a link of their own.
///
///     alice 10.0.0.1, fd00::1    192.0.2.1:51820 ══════ 192.0.2.2:51820    bob 10.0.0.2, fd00::2
struct Pair {
    let link: Link
    private(set) var alice: End
    private(set) var bob: End

    /// What one end says about the other, where it is not what everybody says.
    struct Options {
        var presharedKey: PresharedKey?
        /// Another one that an answer may be made with.
        var otherPresharedKey: PresharedKey?
        var compression = CompressionPolicy.off
        var cipher = CipherPolicy.chacha20poly1305
        /// The end's processor has the instructions for AES.
        var hasAES = true
        var mode = TunnelMode.packets
        var allowedMACs: [MACAddress]?
        var persistentKeepalive: Interval?
        /// False: it waits to be called.
        var knowsEndpoint = true
        /// False: it is as the last version before CONFIRM.
        var confirms = true
        /// True: it takes what is larger than a datagram in pieces.
        var packs = false
        /// False: it takes no part in repair, as versions before it.
        var repairs = true
        /// True: keys may take the place of others.
        var rotates = false
        /// True: units may refer to those before them.
        var history = false
        var historyScope = HistoryScope.flow
        /// The key exchange that a quantum computer does not undo, and after how long it is done again.
        var keyExchange = KeyExchangePolicy.off
        var keyExchangeRekey = Interval.seconds(3600)
    }

    init(
        alice first: Options = Options(), bob second: Options = Options(), latency: Interval = .milliseconds(10),
        seed: UInt64 = 1
    ) {
        link = Link(latency: latency)
        alice = End(
            privateKey(seed << 8 + 1), site(1).endpoint, seed: seed << 8 + 1, hasAES: first.hasAES, mode: first.mode)
        bob = End(
            privateKey(seed << 8 + 2), site(2).endpoint, seed: seed << 8 + 2, hasAES: second.hasAES, mode: second.mode)
        link.add(alice)
        link.add(bob)
        introduce(bob, site(2), to: alice, first)
        introduce(alice, site(1), to: bob, second)
    }

    /// Both with the same options.
    init(both options: Options, latency: Interval = .milliseconds(10), seed: UInt64 = 1) {
        self.init(alice: options, bob: options, latency: latency, seed: seed)
    }

    /// Both with a compression.
    init(_ first: CompressionPolicy, _ second: CompressionPolicy, latency: Interval = .milliseconds(10)) {
        self.init(alice: Options(compression: first), bob: Options(compression: second), latency: latency)
    }

    /// Alice's process ends and starts again with these options and, if given, a clock that is wrong.
    mutating func restartAlice(_ options: Options = Options(), clockError: Interval = .seconds(0), seed: UInt64 = 77) {
        let new = End(alice.key, alice.endpoint, seed: seed)
        new.clockError = clockError
        link.replace(alice, by: new)
        alice = new
        introduce(bob, site(2), to: alice, options)
    }

    /// Bob's process ends and starts again with these options.
    mutating func restartBob(_ options: Options = Options(), seed: UInt64 = 78) {
        let new = End(bob.key, bob.endpoint, seed: seed, hasAES: options.hasAES, mode: options.mode)
        link.replace(bob, by: new)
        bob = new
        introduce(alice, site(1), to: bob, options)
    }

    /// Another process takes the place of one of them.
    mutating func replace(_ old: End, by new: End) {
        link.replace(old, by: new)
        if old === alice { alice = new } else { bob = new }
    }

    func introduce(_ other: End, _ place: Site, to end: End, _ options: Options) {
        link.change(end) { tunnel, now in
            tunnel.setPeer(other.publicKey, Self.configuration(place, options), at: now)
        }
    }

    static func configuration(_ place: Site, _ options: Options) -> PeerConfiguration {
        var configuration = PeerConfiguration(
            presharedKey: options.presharedKey, endpoint: options.knowsEndpoint ? place.endpoint : nil,
            allowedIPs: place.allowedIPs, persistentKeepalive: options.persistentKeepalive,
            compression: options.compression)
        configuration.cipher = options.cipher
        configuration.allowedMACs = options.allowedMACs
        configuration.confirms = options.confirms
        configuration.packs = options.packs
        configuration.repairs = options.repairs
        configuration.rotates = options.rotates
        configuration.otherPresharedKey = options.otherPresharedKey
        configuration.history = options.history
        configuration.historyScope = options.historyScope
        configuration.keyExchange = options.keyExchange
        configuration.keyExchangeRekey = options.keyExchangeRekey
        return configuration
    }

    /// Makes a session and forgets what was seen and received.
    func connect() {
        meet()
        forget()
    }

    /// Sends a packet from alice, or a frame if she carries those, so that there is a session.
    func meet() {
        let carriesFrames = alice.tunnel.mode != .packets
        if carriesFrames {
            link.send(ethernet: [ethernet(host(1, 99), .everybody, text(46))], from: alice)
        } else {
            link.send(udp(1, 2, payload: 32), from: alice)
        }
        // Long enough for the exchange of HELLO, and too short for any timer of ten seconds.
        link.run(for: .milliseconds(200))
    }

    /// Delivers a payload from alice to bob that her own gateway would perhaps never send; the reasons for which bob dropped
    /// something then.
    @discardableResult
    func deliver(
        _ payload: [UInt8], on suite: CipherSuite = .chacha20poly1305, counter: UInt64? = nil, trafficClass: UInt8 = 0
    ) -> [DropReason] {
        guard let datagram = alice.seal(payload, to: bob, on: suite, counter: counter) else { return [.unknownIndex] }
        return deliver(datagram: datagram, trafficClass: trafficClass)
    }

    /// Payloads as alice seals them, one behind the other.
    func seal(_ payloads: [[UInt8]], on suite: CipherSuite = .chacha20poly1305) -> [[UInt8]] {
        payloads.compactMap { alice.seal($0, to: bob, on: suite) }
    }

    /// Delivers a datagram from alice to bob; the reasons for which bob dropped something then.
    @discardableResult
    func deliver(datagram: [UInt8], trafficClass: UInt8 = 0) -> [DropReason] {
        let before = drops
        link.deliver(datagram, to: bob, from: alice.endpoint, trafficClass: trafficClass)
        let after = drops
        return DropReason.allCases.filter { after[$0.rawValue] != before[$0.rawValue] }
    }

    /// What bob has dropped, by reason.
    var drops: [UInt64] {
        let peer = bob.statistics(of: alice)?.drops
        return DropReason.allCases.map { (peer?[$0] ?? 0) + bob.drops($0) }
    }

    func forget() {
        link.sightings = []
        alice.received = []
        bob.received = []
    }
}

/// Where an end is, outside and inside.
struct Site {
    let endpoint: Endpoint
    let v4: IPAddress
    let v6: IPAddress
    let allowedIPs: [Prefix]
}

/// 192.0.2.`number`:51820, 10.0.0.`number`, fd00::`number`.
func site(_ number: UInt8) -> Site {
    let v4 = IPAddress.v4(0x0a00_0000 | UInt32(number))
    let v6 = IPAddress.v6(0xfd00 << 112 | UInt128(number))
    return Site(
        endpoint: Endpoint(.v4(0xc000_0200 | UInt32(number)), port: 51820), v4: v4, v6: v6,
        allowedIPs: [Prefix(v4, length: 32), Prefix(v6, length: 128)].compactMap { $0 })
}

/// The key of a number.
func privateKey(_ number: UInt64) -> PrivateKey {
    var randomness = Randomness(seed: number ^ 0x6b65_7900_0000)
    var bytes: InlineArray<32, UInt8> = randomness.bytes()
    return PrivateKey(consuming: &bytes)
}

/// The preshared key of a number.
func presharedKey(_ number: UInt64) -> PresharedKey {
    var randomness = Randomness(seed: number ^ 0x7073_6b00_0000)
    var bytes: InlineArray<32, UInt8> = randomness.bytes()
    return PresharedKey(consuming: &bytes)
}
