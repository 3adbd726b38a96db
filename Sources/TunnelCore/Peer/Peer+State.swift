import Addresses
import Keys

// A peer as a new process takes it over: its sessions go on, and so do its timers and what was counted. What only makes things
// faster or smaller begins anew: flows, what is kept to be sent again, parity, budgets.

extension Peer {
    /// The most that `write` needs, without AllowedIPs.
    static let largestState = 10_240

    /// The settings stand first, so that a peer can be made of them.
    func writeSettings(to state: inout StateWriter, _ allowedIPs: [Prefix]) {
        state.put(publicKey.bytes.span)
        state.put(optional: presharedKey) { $0.put($1.bytes) }
        state.put(optional: path) { state, path in
            state.put(path.remote)
            state.put(optional: path.local) { state, local in
                state.put(local.address)
                state.put(local.interface)
            }
        }
        state.put(optional: persistentKeepalive) { $0.put($1) }
        state.put(compression.mode.number)
        state.put(cipher.number)
        state.put(list: allowedIPs) { state, prefix in
            state.put(prefix.address)
            state.put(UInt8(prefix.length))
        }
    }

    func write(to state: inout StateWriter, _ services: borrowing Services) {
        for session in [keypairs.current, keypairs.previous, keypairs.next] {
            state.put(session != nil)
            if let session { services.sessions[session].write(to: &state) }
        }
        state.put(UInt32(clamping: silentSessions))
        acquaintance.write(to: &state)
        timers.write(to: &state)
        state.put(needsAnotherKeepalive)
        handshaking.write(to: &state)
        state.put(received)
        state.put(sent)
        state.put(optional: lastHandshake) { state, time in
            state.put(time.seconds)
            state.put(time.nanoseconds)
        }
        state.put(handshakes)
        // What waits is not carried over.
        var drops = drops
        drops.count(.staged, staged.count)
        drops.count(.queueFull, services.egress.queue.backlog(of: id.slot).packets)
        drops.write(to: &state)
        traffic.write(to: &state)
        state.put(marks)
        state.put(optional: rates.told) { $0.put($1) }
        state.put(optional: rates.isFound ? services.egress.found.rate(rates.found) : nil) { $0.put($1) }
        repair.write(to: &state)
        pathMTU.write(to: &state)
        quality.write(to: &state)
        exchange.write(to: &state)
        // A preshared key to come, which no version ever had.
        state.put(false)
    }

    /// Takes over what `write` wrote.
    mutating func read(_ state: inout StateReader, _ services: inout Services) throws(StateProblem) {
        let current = try readSession(&state, &services)
        let previous = try readSession(&state, &services)
        keypairs = Keypairs(current: current, previous: previous, next: try readSession(&state, &services))
        silentSessions = Int(try state.number(UInt32.self))
        acquaintance = try Acquaintance(&state)
        try timers.read(&state)
        needsAnotherKeepalive = try state.bool()
        let wasHandshaking = try handshaking.read(&state)
        received = try state.number()
        sent = try state.number()
        lastHandshake = try state.optional { state throws(StateProblem) in
            let seconds = try state.number(Int64.self)
            let nanoseconds = try state.number(UInt32.self)
            guard nanoseconds < 1_000_000_000 else { throw .implausible("a time of day") }
            return WallTime(seconds: seconds, nanoseconds: nanoseconds)
        }
        handshakes = try state.number()
        drops = try DropCounters(&state)
        traffic = try CompressionCounters(&state)
        marks = try state.number()
        guard max(handshakes, marks) < 1 << 62 else { throw .implausible("a count") }
        let told = try state.optional { state throws(StateProblem) -> UInt64 in try state.number() }
        let found = try state.optional { state throws(StateProblem) -> UInt64 in try state.number() }
        resumeRates(told: told, found: found, &services)
        try repair.read(&state)
        pathMTU = try PathMTU(&state)
        isRouteAsked = pathMTU.sizes.ceiling > 0
        quality = try PathQuality(&state)
        if state.version >= 2 {
            try exchange.read(&state)
            guard try !state.bool() else { throw .implausible("a preshared key") }
        }
        // One of two that crossed stays pending, and is not sent again.
        if wasHandshaking, timers.isArmed(.retransmitHandshake) {
            timers[.retransmitHandshake] = services.now.instant
        }
        for timer in PeerTimer.allCases where timers.isArmed(timer) {
            arm(timer, at: timers[timer], &services.schedule)
        }
    }

    private func readSession(
        _ state: inout StateReader, _ services: inout Services
    ) throws(StateProblem) -> SessionSlot? {
        guard try state.bool() else { return nil }
        var keys = KeptKeys()
        defer { keys.wipe() }
        let kept = try KeptSession(&state, &keys, at: services.now.instant)
        let session = services.sessions.insert(Session(kept, of: id.slot))
        services.sessions[session].begin(keys, services.ciphers.chacha)
        for (index, suite) in [(kept.wireGuard.local, CipherSuite.chacha20poly1305), (kept.aes.local, .aes256gcm)] {
            guard let index else { continue }
            guard services.indices.claim(index, for: .lane(LaneSlot(session: session, suite: suite))) else {
                throw .implausible("an index")
            }
        }
        return session
    }
}

/// What the settings of a peer are made of.
struct KeptSettings {
    let publicKey: PublicKey
    let path: Path?
    /// What of them another than the file may have changed.
    let presharedKey: PresharedKey?
    let persistentKeepalive: Interval?
    let compression: CompressionPolicy.Mode
    let cipher: CipherPolicy
    let allowedIPs: [Prefix]

    init(_ state: inout StateReader) throws(StateProblem) {
        publicKey = PublicKey(bytes: try state.array())
        presharedKey = try state.optional { state throws(StateProblem) in
            var bytes: Bytes32 = try state.array()
            return PresharedKey(consuming: &bytes)
        }
        path = try state.optional { state throws(StateProblem) in
            let remote = try state.endpoint()
            let local = try state.optional { state throws(StateProblem) in
                let address = try state.address()
                return LocalAddress(address, interface: try state.number())
            }
            return Path(remote, local: local)
        }
        persistentKeepalive = try state.optional { state throws(StateProblem) in try state.interval() }
        if let persistentKeepalive, !(Interval.seconds(1)...Interval.seconds(65_535)).contains(persistentKeepalive) {
            throw .implausible("a keepalive")
        }
        compression = try CompressionPolicy.Mode(try state.number())
        cipher = try CipherPolicy(try state.number())
        allowedIPs = try state.list(eachAtLeast: 6) { state throws(StateProblem) in
            let address = try state.address()
            guard let prefix = Prefix(address, length: Int(try state.number(UInt8.self))) else {
                throw .implausible("a prefix")
            }
            return prefix
        }
    }

    /// The peer's configuration: `file` is what the file says of it.
    func configuration(_ file: PeerConfiguration?) -> PeerConfiguration {
        var configuration = file ?? PeerConfiguration()
        configuration.presharedKey = presharedKey
        configuration.endpoint = path?.remote
        configuration.persistentKeepalive = persistentKeepalive
        configuration.compression.mode = compression
        configuration.cipher = cipher
        configuration.allowedIPs = allowedIPs
        return configuration
    }
}

extension CompressionPolicy.Mode {
    /// In the order of their numbers.
    private static let numbered: [Self] = [.off, .receive, .auto, .codec(.deflate), .codec(.zstd)]

    fileprivate var number: UInt8 { UInt8(Self.numbered.firstIndex(of: self) ?? 0) }

    fileprivate init(_ number: UInt8) throws(StateProblem) {
        guard Int(number) < Self.numbered.count else { throw .implausible("a compression") }
        self = Self.numbered[Int(number)]
    }
}

extension CipherPolicy {
    /// In the order of their numbers.
    private static let numbered: [Self] = [.chacha20poly1305, .auto, .aes256gcm]

    fileprivate var number: UInt8 { UInt8(Self.numbered.firstIndex(of: self) ?? 0) }

    fileprivate init(_ number: UInt8) throws(StateProblem) {
        guard Int(number) < Self.numbered.count else { throw .implausible("a cipher") }
        self = Self.numbered[Int(number)]
    }
}
