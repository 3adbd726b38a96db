import Addresses
import BasicContainers

// Ethernet frames that stand for several, through the switch: to one place they go whole.

extension Tunnel {
    /// Takes a frame of the device that stands for several.
    @inline(never)
    mutating func handleSuperFrame(_ frame: inout MutableRawSpan, _ virtio: VirtioHeader, at now: Now) {
        guard let ethernet = EthernetFrame(frame.bytes), let packet = ethernet.packet(in: frame.bytes),
            let inner = virtio.behind(ethernet.payload),
            var split = FrameSplit(frame.bytes, ethernet, packet, virtio: inner)
        else { return services.drops.count(.frame) }
        services.now = now
        if mode.isHub, !ethernet.source.isGroup { _ = addresses.learn(ethernet, at: .here, now: now.instant) }
        // What is too large, or a SYN, is looked at one by one.
        let isUsual =
            split.largest <= largestFrame
            && !MaximumSegment.isOffered(in: frame.bytes.extracting(ethernet.payload...), packet)
        switch isUsual ? addresses.place(for: ethernet, at: now.instant) : nil {
        case .here: return
        case .peer(let slot):
            peers[slot].take(&frame, ethernet, packet, virtio: inner, from: .here, &services)
            makeRoomToGather()
        case nil:
            while let place = split.nextFrame(in: &frame) {
                var one = frame.part(place)
                handleEthernet(&one, at: now)
            }
        }
    }

    /// Gives one of a peer's to the device of a hub, and to the peers that it is for; false if the device does not get it.
    mutating func deliver(
        segmented decoded: Inbox.Decoded, _ header: EthernetFrame, counter: UInt64, from slot: PeerSlot
    ) -> Bool {
        switch addresses.place(for: header, at: services.now.instant) {
        case .here: break
        case .peer(slot): return false
        case .peer(let other):
            pass(decoded, header, from: slot, to: other)
            return false
        case nil: guard floodEach(of: decoded, header, from: slot) else { return false }
        }
        deliverHere(decoded, header, counter: counter, from: slot)
        return true
    }

    /// Passes one on to a peer, from where it was decoded.
    private mutating func pass(
        _ decoded: Inbox.Decoded, _ header: EthernetFrame, from slot: PeerSlot, to other: PeerSlot
    ) {
        // The inbox keeps it where it is until it is cleared.
        var frame = unsafe _overrideLifetime(services.ingress.inbox[decoded: decoded.place], copying: ())
        guard let packet = header.packet(in: frame.bytes) else { return }
        notePassing(frame.byteCount, from: slot)
        peers[slot].budget.payCopy(of: frame.byteCount)
        let virtio = decoded.shape.layout.virtio(segment: decoded.shape.segment)
        peers[other].take(&frame, header, packet, virtio: virtio, from: .peer(slot), &services)
        makeRoomToGather()
    }

    /// Sends the frames that one stands for to all other peers; false if one of them goes no further.
    private mutating func floodEach(of decoded: Inbox.Decoded, _ header: EthernetFrame, from slot: PeerSlot) -> Bool {
        // The device gets it too, whole: they are cut in a copy.
        let whole = unsafe _overrideLifetime(services.ingress.inbox.bytes(decoded: decoded.place), copying: ())
        let place = services.ingress.inbox.decode(whole.byteCount) { space in
            space.copy(whole, to: 0)
            return whole.byteCount
        }
        let virtio = decoded.shape.layout.virtio(segment: decoded.shape.segment)
        guard let place, let packet = header.packet(in: whole),
            var split = FrameSplit(whole, header, packet, virtio: virtio)
        else {
            services.drops.count(.overflow)
            return false
        }
        var copy = unsafe _overrideLifetime(services.ingress.inbox[decoded: place], copying: ())
        while let range = split.nextFrame(in: &copy) {
            guard flood(copy.bytes.extracting(range), header, from: slot) else { return false }
        }
        return true
    }
}
