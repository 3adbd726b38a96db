import Addresses
public import Keys

// The state of a tunnel, for a process that takes its place (docs/design/upgrade.md). Whoever writes it sends and receives nothing
// afterwards: counters and windows stand in it as they are, not ahead of that.

extension Tunnel {
    /// The most that `writeState` needs, if nothing is added meanwhile.
    public var largestState: Int {
        let prefixes = peers.all.reduce(0) { $0 + allowedIPs.prefixes(of: $1).count }
        return 4096 + peers.count * Peer.largestState + prefixes * 18 + addresses.count * 24
    }

    /// Packets wait in front of a link with a rate.
    public var hasQueued: Bool { services.egress.queue.count + services.egress.queue.sealedCount > 0 }

    /// Makes ready for the device what waits for something that was lost; false if there is nothing more of that. To be called, with the
    /// inbox written each time, until then.
    public mutating func releaseHeld(at now: Now) -> Bool {
        services.now = now
        for slot in peers.all { services.ingress.reorder.release(slot, below: nil) }
        guard services.ingress.reorder.hasReady else { return false }
        while services.ingress.inbox.hasRoom, let ready = services.ingress.reorder.nextReady() {
            if !services.ingress.deliver(ready, at: now.instant) { services.drops.count(.overflow) }
        }
        return true
    }

    /// Writes the state. `times` are those of the handshake thread.
    public mutating func writeState(to state: inout StateWriter, _ times: [PeerID: HandshakeTimes], at now: Now) {
        services.now = now
        state.put(mode.number)
        state.put(optional: privateKey) { $0.put($1.bytes) }
        state.put(UInt32(clamping: mtu))
        state.put(UInt32(clamping: framePayload))
        state.put(isUp)
        state.put(services.clockOffsets.report)
        state.put(services.clockOffsets.ping)
        allDrops.write(to: &state)
        state.put(ignoredTooBigs)
        let slots = peers.all.sorted { peers[$0].id < peers[$1].id }
        state.put(UInt32(slots.count))
        for slot in slots {
            peers[slot].writeSettings(to: &state, allowedIPs.prefixes(of: slot))
            peers[slot].write(to: &state, services)
            (times[peers[slot].id] ?? HandshakeTimes()).write(to: &state)
        }
        let places = Dictionary(uniqueKeysWithValues: zip(slots, slots.indices))
        addresses.write(to: &state, at: now.instant) { places[$0] }
    }

    /// Takes over a state, in a tunnel that has no peers yet. `file` says what the configuration has of a peer. After an error the tunnel
    /// is good for nothing.
    public mutating func readState(
        _ state: inout StateReader, at now: Now, _ file: (PublicKey) -> PeerConfiguration?
    ) throws(StateProblem) {
        services.now = now
        guard try state.number(UInt8.self) == mode.number else { throw .implausible("another Mode") }
        let key = try state.optional { state throws(StateProblem) in
            var bytes: Bytes32 = try state.array()
            return PrivateKey(consuming: &bytes)
        }
        setPrivateKey(key, at: now)
        mtu = min(Int(try state.number(UInt32.self)), Limits.packet)
        framePayload = min(Int(try state.number(UInt32.self)), Limits.packet)
        services.isUp = try state.bool()
        services.clockOffsets.report = try state.number()
        services.clockOffsets.ping = try state.number()
        services.drops = try DropCounters(&state)
        ignoredTooBigs = try state.number()
        let count = try state.count(eachAtLeast: 64)
        guard count <= Limits.peers else { throw .implausible("so many peers") }
        var slots: [PeerSlot] = []
        for _ in 0..<count { slots.append(try readPeer(&state, at: now, file)) }
        try addresses.read(&state) { $0 < slots.count ? slots[$0] : nil }
    }

    private mutating func readPeer(
        _ state: inout StateReader, at now: Now, _ file: (PublicKey) -> PeerConfiguration?
    ) throws(StateProblem) -> PeerSlot {
        let settings = try KeptSettings(&state)
        guard !hasPeer(settings.publicKey) else { throw .implausible("a peer twice") }
        setPeer(settings.publicKey, settings.configuration(file(settings.publicKey)), at: now)
        guard let slot = peers.slot(of: settings.publicKey) else { throw .implausible("a peer") }
        peers[slot].path = settings.path
        try peers[slot].read(&state, &services)
        services.jobs.append(.adoptTimes(peers[slot].id, try HandshakeTimes(&state)))
        return slot
    }
}

extension TunnelMode {
    fileprivate var number: UInt8 { self == .packets ? 0 : 1 }
}
