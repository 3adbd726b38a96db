import Addresses
import BasicContainers

// From the device to a peer.

extension Tunnel {
    /// Takes what one read of the device gave, the first `length` bytes of `space`, which has `Limits.deviceRead` of them. What is in `space`
    /// afterwards is undefined: its memory may be another one, since a packet that waits stays in what it was read into.
    @inline(__always)
    public mutating func handleDeviceRead(in space: inout Arena, length: Int, at now: Now) {
        let mayWait = services.egress.queue.isUsed && space.capacity == Limits.deviceRead
        if mayWait { services.egress.queue.memory.expectExchange() }
        var read = space[0..<length]
        handleDeviceRead(&read, at: now)
        if mayWait { services.egress.queue.memory.exchange(&space) }
    }

    /// Takes what one read of the device gave: a virtio header and a packet, an Ethernet frame, or one of either that stands for
    /// several. Its bytes are changed on the way.
    @inline(__always)
    public mutating func handleDeviceRead(_ read: inout MutableRawSpan, at now: Now) {
        guard !services.trace.isOn else { return traceDeviceRead(&read, at: now) }
        handleRead(&read, at: now)
    }

    @inline(__always)
    mutating func handleRead(_ read: inout MutableRawSpan, at now: Now) {
        guard let virtio = VirtioHeader(read.bytes) else { return services.drops.count(.notIP) }
        var packet = read.part(VirtioHeader.size...)
        if mode != .packets {
            guard virtio.kind == .none else { return handleSuperFrame(&packet, virtio, at: now) }
            if virtio.needsChecksum, !virtio.completeChecksum(of: &packet) { return services.drops.count(.frame) }
            return handleEthernet(&packet, at: now)
        }
        guard virtio.kind != .none else {
            if virtio.needsChecksum, !virtio.completeChecksum(of: &packet) { return services.drops.count(.notIP) }
            return handleSingle(&packet, at: now)
        }
        guard let header = InternetPacket(packet.bytes), Split(packet.bytes, header, virtio: virtio) != nil else {
            return services.drops.count(.notIP)
        }
        services.now = now
        guard let slot = allowedIPs.lookup(header.destination) else { return refuse(packet.bytes, header) }
        peers[slot].take(&packet, with: header, virtio: virtio, &services)
        makeRoomToGather()
    }

    /// Takes one IP packet of the device, whose SYN says what fits.
    @inline(__always)
    private mutating func handleSingle(_ packet: inout MutableRawSpan, at now: Now) {
        guard let header = InternetPacket(packet.bytes) else { return services.drops.count(.notIP) }
        services.now = now
        guard let slot = allowedIPs.lookup(header.destination) else { return refuse(packet.bytes, header) }
        clampSegment(of: &packet, header, with: slot)
        peers[slot].take(packet.bytes, with: header, &services)
        makeRoomToGather()
    }

    /// Lowers the largest segment in a SYN to or from a peer to what fits into the tunnel.
    @inline(__always)
    func clampSegment(of packet: inout MutableRawSpan, _ header: InternetPacket, with slot: PeerSlot) {
        guard MaximumSegment.isOffered(in: packet.bytes, header) else { return }
        switch segmentClamp {
        case .off: break
        case .fitting: MaximumSegment.clamp(&packet, header, mtu: peers[slot].largestPacket(services), most: nil)
        case .at(let most): MaximumSegment.clamp(&packet, header, mtu: mtu, most: most)
        }
    }

    /// Takes one IP packet.
    @inline(__always)
    public mutating func handlePacket(_ packet: RawSpan, at now: Now) {
        guard let header = InternetPacket(packet) else { return services.drops.count(.notIP) }
        services.now = now
        guard let slot = allowedIPs.lookup(header.destination) else { return refuse(packet, header) }
        peers[slot].take(packet, with: header, &services)
        makeRoomToGather()
    }

    /// Drops a packet whose destination is in nobody's AllowedIPs, and has its sender told.
    @inline(never)
    private mutating func refuse(_ packet: RawSpan, _ header: InternetPacket) {
        // The system itself says much to groups: that nobody has those is no fault.
        services.drops.count(header.destination.isGroup ? .multicast : .noPeer)
        services.ingress.refusals.append(packet, header, at: services.now.instant)
    }

    /// Sends one batch of what was gathered; false if nothing is left. To be called when the device has nothing more for now,
    /// with room in the outbox each time.
    public mutating func sendGathered(at now: Now) -> Bool {
        services.now = now
        return sendOldestBatch()
    }

    private mutating func sendOldestBatch() -> Bool {
        guard let index = services.egress.gathering.oldest(), let batch = services.egress.gathering[index] else {
            return false
        }
        peers[batch.peer].sendBatch(index, &services)
        return true
    }

    private mutating func countDropsOfOthers() {
        while let dropped = services.dropsOfOthers.popLast() {
            for _ in 0..<dropped.packets { peers[dropped.peer].drops.count(.queueFull) }
            if services.trace.isOn { traceDrops(.queueFull, dropped.packets, of: dropped.peer) }
        }
    }

    /// Lets the oldest batches leave if there are more than may be between two packets.
    @inline(__always)
    mutating func makeRoomToGather() {
        if !services.dropsOfOthers.isEmpty { countDropsOfOthers() }
        while services.egress.gathering.isOverfull, sendOldestBatch() {}
    }
}
