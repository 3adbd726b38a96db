import Addresses
import BasicContainers

// Ethernet frames instead of packets: with one peer a wire, with more a switch that learns which address is at which
// peer. What came from a peer goes to another only through a hub.

extension Tunnel {
    /// Frames for everybody, or for an address that nobody has been seen with: a second's worth at once.
    static let floods = TokenBucket(every: .milliseconds(1), atOnce: 1000)
    /// Frames up to this size travel in bundles.
    private static let bundledFrame = 512
    /// Two VLAN tags on top of the header.
    private static let mostAroundPayload = 22

    /// Ethernet frames are carried, not packets.
    var carriesFrames: Bool { mode != .packets }
    private var isHub: Bool { mode == .frames(isHub: true) }

    /// The largest payload of a record: that of a full packet; of a frame, which would be too large, that of a tunnel over
    /// Ethernet.
    var payloadSize: Int { carriesFrames ? min(mtu, 1420) : mtu }

    // MARK: From the device

    /// Takes one frame of the device.
    @inline(never)
    mutating func handleEthernet(_ frame: RawSpan, at now: Now) {
        guard let header = EthernetFrame(frame), frame.byteCount <= mtu + Self.mostAroundPayload else {
            return drops.count(.frame)
        }
        if let slot = peer(for: header.destination, at: now) { return send(frame, header, to: slot, at: now) }
        flood(frame, header, except: -1, at: now)
    }

    private func peer(for destination: MACAddress, at now: Now) -> Int32? {
        destination.isGroup ? nil : addresses.peer(of: destination, at: now.instant)
    }

    /// Sends a frame to all peers but one; false if there were too many of those lately.
    @discardableResult
    private mutating func flood(_ frame: RawSpan, _ header: EthernetFrame, except slot: Int32, at now: Now) -> Bool {
        guard flooding.admit(at: now.instant) else {
            drops.count(.storm)
            return false
        }
        for other in 0..<peers.count where peers[other].isAlive && Int32(other) != slot {
            send(frame, header, to: Int32(other), at: now)
        }
        return true
    }

    // MARK: To a peer

    /// Sends a frame to a peer, or keeps it until there is a session and the peer has said what it takes.
    private mutating func send(_ frame: RawSpan, _ header: EthernetFrame, to slot: Int32, at now: Now) {
        let session = peers[Int(slot)].current
        guard peers[Int(slot)].path != nil else { return peers[Int(slot)].drops.count(.noEndpoint) }
        guard session >= 0, sessions[session].canSend(at: now.instant) else {
            keep(frame, for: slot)
            return startHandshake(slot, at: now)
        }
        guard sessions[session].hello.hasArrived else { return keep(frame, for: slot) }
        guard sessions[session].hello.records.contains(.ethernet) else {
            return peers[Int(slot)].drops.count(.noEthernet)
        }
        if peers[Int(slot)].cipher == .aes256gcm, !sessions[session].aes.isOpen {
            return peers[Int(slot)].drops.count(.staged)
        }
        guard peers[Int(slot)].compression.codes else { return sendAlone(frame, to: slot, session, at: now) }
        gather(frame, header, for: slot, session, at: now)
    }

    private mutating func keep(_ frame: RawSpan, for slot: Int32) {
        let dropped = peers[Int(slot)].staged.append(frame)
        peers[Int(slot)].drops.count(.staged, dropped)
    }

    /// Sends a frame that has waited.
    mutating func sendKept(_ frame: RawSpan, to slot: Int32, at now: Now) {
        guard let header = EthernetFrame(frame) else { return }
        send(frame, header, to: slot, at: now)
    }

    /// The IP packet in a frame.
    private static func packet(in frame: RawSpan, _ header: EthernetFrame) -> InternetPacket? {
        header.isIP ? InternetPacket(frame.extracting(header.payload..<frame.byteCount)) : nil
    }

    private mutating func gather(
        _ frame: RawSpan, _ header: EthernetFrame, for slot: Int32, _ session: Int32, at now: Now
    ) {
        let shape = MemberShape(layout: .none, segment: 0)
        guard let packet = Self.packet(in: frame, header) else {
            // Nothing is known of it; it may still share a datagram.
            let flow = chain.flows.find(ethernet: frame)
            return leave(frame, shape, 0, flow.hash, to: slot, session, at: now)
        }
        let inner = frame.extracting(header.payload..<frame.byteCount)
        let trafficClass = packet.congestion.rawValue
        let flow = chain.flows.find(inner, packet, to: slot)
        let isShared = peers[Int(slot)].compression.scope == .peer
        if !isShared, isGathered(frame, shape, trafficClass, flow.hash, among: flow.hash, for: slot, at: now) { return }
        let layout = MemberShape(layout: PacketLayout(inner, packet), segment: 0)
        guard case .code(let codec) = attempt(inner.extracting(0..<packet.length), layout, packet, flow, for: slot)
        else {
            return leave(frame, shape, trafficClass, flow.hash, to: slot, session, at: now)
        }
        if isShared, isGathered(frame, shape, trafficClass, flow.hash, among: nil, for: slot, at: now) { return }
        openUnit(codec, flow, frame, shape, trafficClass, for: slot, at: now)
    }

    /// Sends a frame that is not compressed, in a bundle if it is small.
    private mutating func leave(
        _ frame: RawSpan, _ shape: MemberShape, _ trafficClass: UInt8, _ flow: UInt64, to slot: Int32, _ session: Int32,
        at now: Now
    ) {
        guard frame.byteCount > Self.bundledFrame else {
            return bundle(frame, shape, trafficClass, flow, for: slot, at: now)
        }
        letPass(flow, for: slot, at: now)
        sendAlone(frame, to: slot, session, at: now)
    }

    /// Sends a frame as a record of its own, in fragments if it must be.
    mutating func sendAlone(_ frame: RawSpan, to slot: Int32, _ session: Int32, at now: Now) {
        guard let path = peers[Int(slot)].path else { return }
        let trafficClass = EthernetFrame(frame).flatMap { Self.packet(in: frame, $0) }?.congestion.rawValue ?? 0
        var number = sessions[session].nextUnit
        let sent = chain.outbound(
            frame: frame, trafficClass, recordLimits(slot), number: &number, on: &sessions[session].forData,
            to: Destination(path: path, peer: slot), into: &outbox)
        sessions[session].nextUnit = number
        guard sent > 0 else { return drops.count(.overflow) }
        peers[Int(slot)].sent &+= UInt64(sent)
        peers[Int(slot)].traffic.noteSent(frame.byteCount, sent)
        noteDataSent(slot, session, at: now)
    }

    // MARK: From a peer

    /// Takes frames that were decoded into the inbox.
    mutating func receiveFrames(_ packets: Packets, _ slot: Int32, at now: Now) {
        var plain = 0
        for index in 0..<chain.found.count {
            let place = chain.found[index].place
            guard let header = admitFrame(place, isMarked: packets.isMarked, slot, at: now) else { continue }
            plain += place.count
            deliver(place, header, from: slot, at: now)
        }
        if packets.isCutOff { peers[Int(slot)].drops.count(.record) }
        guard plain > 0 else { return }
        peers[Int(slot)].traffic.noteReceived(plain, packets.wire)
        if let codec = packets.codec {
            peers[Int(slot)].traffic.note(codec, plain, packets.wire)
        } else if chain.found.count > 1 {
            peers[Int(slot)].traffic.noteBundle(chain.found.count, plain, packets.wire)
        }
        noteDataReceived(slot, at: now)
    }

    /// Checks a frame that came out of the chain, and learns where its sender is; `nil` if it is dropped.
    private mutating func admitFrame(_ place: Range<Int>, isMarked: Bool, _ slot: Int32, at now: Now) -> EthernetFrame?
    {
        guard let header = EthernetFrame(inbox.bytes(decoded: place)), place.count <= mtu + Self.mostAroundPayload
        else {
            peers[Int(slot)].drops.count(.frame)
            return nil
        }
        let source = header.source
        guard !source.isGroup, peers[Int(slot)].allowedMACs?.contains(source) ?? true else {
            peers[Int(slot)].drops.count(.allowedMACs)
            return nil
        }
        guard addresses.learn(source, at: slot, now: now.instant) else {
            peers[Int(slot)].drops.count(.learning)
            return nil
        }
        guard !isMarked || mark(place, header) else {
            peers[Int(slot)].drops.count(.congestion)
            return nil
        }
        return header
    }

    /// Marks the IP packet in a frame that met congestion; false if it can't be marked. Other frames have no such mark.
    private mutating func mark(_ place: Range<Int>, _ header: EthernetFrame) -> Bool {
        guard Self.packet(in: inbox.bytes(decoded: place), header) != nil else { return true }
        var packet = inbox[decoded: place.lowerBound + header.payload..<place.upperBound]
        return CongestionBits.markExperienced(&packet)
    }

    /// Gives a peer's frame to the device, and as a hub to the peers that it is for.
    private mutating func deliver(_ place: Range<Int>, _ header: EthernetFrame, from slot: Int32, at now: Now) {
        if isHub {
            // The inbox keeps it where it is until it is cleared.
            let frame = unsafe _overrideLifetime(inbox.bytes(decoded: place), copying: ())
            if let other = peer(for: header.destination, at: now) {
                if other != slot { send(frame, header, to: other, at: now) }
                return
            }
            guard flood(frame, header, except: slot, at: now) else { return }
        }
        if !inbox.append(frame: place) { drops.count(.overflow) }
    }
}
