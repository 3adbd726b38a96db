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
    /// Whatever the MTU, a record's head and the frame are no more than a unit.
    private var largestFrame: Int { min(mtu + Self.mostAroundPayload, Limits.unit - Record.headerSize) }

    /// Where a frame came from that has waited.
    private static let unknownIngress = Int32.min

    /// Ethernet frames are carried, not packets.
    var carriesFrames: Bool { mode != .packets }
    private var isHub: Bool { mode == .frames(isHub: true) }

    /// The largest payload of a datagram.
    var payloadSize: Int { carriesFrames ? framePayload : mtu }

    // MARK: From the device

    /// Takes one frame of the device.
    @inline(never)
    mutating func handleEthernet(_ frame: RawSpan, at now: Now) {
        guard let header = EthernetFrame(frame), frame.byteCount <= largestFrame else { return drops.count(.frame) }
        // Without it, what goes from the other sites to this one would go to all of them.
        if isHub, !header.source.isGroup { _ = addresses.learn(header, at: MACTable.here, now: now.instant) }
        switch addresses.place(for: header, at: now.instant) {
        case MACTable.here?: break
        case let slot?: send(frame, header, to: slot, from: MACTable.here, at: now)
        case nil:
            guard flooding.admit(at: now.instant) else { return drops.count(.storm) }
            flood(frame, header, except: MACTable.here, at: now)
        }
    }

    /// Sends a frame to all peers but the one that it came from.
    private mutating func flood(_ frame: RawSpan, _ header: EthernetFrame, except slot: Int32, at now: Now) {
        for other in 0..<peers.count where peers[other].isAlive && Int32(other) != slot {
            send(frame, header, to: Int32(other), from: slot, at: now)
        }
    }

    // MARK: To a peer

    /// Sends a frame to a peer, or keeps it until there is a session and the peer has said what it takes.
    private mutating func send(
        _ frame: RawSpan, _ header: EthernetFrame, to slot: Int32, from ingress: Int32, at now: Now
    ) {
        let session = peers[Int(slot)].current
        guard session >= 0, sessions[session].hello.hasArrived, sessions[session].canSend(at: now.instant) else {
            return sendEarly(frame, to: slot, at: now)
        }
        guard peers[Int(slot)].path != nil else { return peers[Int(slot)].drops.count(.noEndpoint) }
        guard takesFrames(slot, session) else { return refuse(slot, session) }
        guard peers[Int(slot)].compression.codes else { return sendAlone(frame, to: slot, session, at: now) }
        gather(frame, header, for: slot, session, from: ingress, at: now)
    }

    /// Whether the peer has said on a session that it takes frames, sealed as the operator demands.
    private func takesFrames(_ slot: Int32, _ session: Int32) -> Bool {
        sessions[session].hello.records.contains(.ethernet)
            && (peers[Int(slot)].cipher != .aes256gcm || sessions[session].aes.isOpen)
    }

    private mutating func refuse(_ slot: Int32, _ session: Int32) {
        peers[Int(slot)].drops.count(sessions[session].hello.records.contains(.ethernet) ? .staged : .noEthernet)
    }

    /// Sends a frame, before the peer has said anything on the newest session, on the one before, or keeps it.
    @inline(never)
    private mutating func sendEarly(_ frame: RawSpan, to slot: Int32, at now: Now) {
        guard peers[Int(slot)].path != nil else { return peers[Int(slot)].drops.count(.noEndpoint) }
        let (session, previous) = (peers[Int(slot)].current, peers[Int(slot)].previous)
        if peers[Int(slot)].staged.isEmpty, previous >= 0, sessions[previous].canSend(at: now.instant),
            takesFrames(slot, previous)
        {
            return sendAlone(frame, to: slot, previous, at: now)
        }
        keep(frame, for: slot)
        guard session >= 0, sessions[session].canSend(at: now.instant) else { return startHandshake(slot, at: now) }
        noteHeld(slot, session, at: now)
    }

    private mutating func keep(_ frame: RawSpan, for slot: Int32) {
        let dropped = peers[Int(slot)].staged.append(frame)
        peers[Int(slot)].drops.count(.staged, dropped)
    }

    /// Sends a frame that has waited.
    mutating func sendKept(_ frame: RawSpan, to slot: Int32, at now: Now) {
        guard let header = EthernetFrame(frame) else { return }
        send(frame, header, to: slot, from: Self.unknownIngress, at: now)
    }

    /// The IP packet in a frame.
    private static func packet(in frame: RawSpan, _ header: EthernetFrame) -> InternetPacket? {
        header.isIP ? InternetPacket(frame.extracting(header.payload..<frame.byteCount)) : nil
    }

    private mutating func gather(
        _ frame: RawSpan, _ header: EthernetFrame, for slot: Int32, _ session: Int32, from ingress: Int32, at now: Now
    ) {
        let shape = MemberShape(layout: .none, segment: 0)
        let hello = sessions[session].hello
        guard hello.records.contains(.bundle), frame.byteCount + Frames.overhead <= hello.maximumUnit,
            let packet = Self.packet(in: frame, header)
        else {
            // It can't be compressed, or nothing is known of it; it may still share a datagram.
            let flow = chain.flows.find(ethernet: frame)
            return leave(frame, shape, 0, flow.hash, to: slot, session, at: now)
        }
        guard !packet.hidesPorts else {
            sendBatches(of: slot, at: now)
            return sendAlone(frame, to: slot, session, at: now)
        }
        let inner = frame.extracting(header.payload..<frame.byteCount)
        let trafficClass = packet.congestion.rawValue
        let flow = chain.flows.find(inner, packet, in: frame, header, to: slot, from: ingress)
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

    /// Sends a frame that was gathered, when it is not known whether the newest session takes it.
    mutating func sendAlone(gathered frame: RawSpan, to slot: Int32, at now: Now) {
        let session = peers[Int(slot)].current
        guard session >= 0, sessions[session].hello.hasArrived, sessions[session].canSend(at: now.instant) else {
            return sendEarly(frame, to: slot, at: now)
        }
        guard takesFrames(slot, session) else { return refuse(slot, session) }
        sendAlone(frame, to: slot, session, at: now)
    }

    /// Sends a frame as a record of its own, in fragments if it must be.
    private mutating func sendAlone(_ frame: RawSpan, to slot: Int32, _ session: Int32, at now: Now) {
        guard let path = peers[Int(slot)].path else { return }
        let trafficClass = EthernetFrame(frame).flatMap { Self.packet(in: frame, $0) }?.congestion.rawValue ?? 0
        let limits = recordLimits(session)
        guard limits.pieces(of: Record.headerSize + frame.byteCount) > 0 else {
            return peers[Int(slot)].drops.count(.frame)
        }
        var number = sessions[session].nextUnit
        let sent = chain.outbound(
            frame: frame, trafficClass, limits, number: &number, on: &sessions[session].forData,
            to: Destination(path: path, peer: slot), into: &outbox)
        sessions[session].nextUnit = number
        guard sent > 0 else { return drops.count(.overflow) }
        peers[Int(slot)].sent &+= UInt64(sent)
        peers[Int(slot)].traffic.noteSent(frame.byteCount, sent)
        noteDataSent(slot, peers[Int(slot)].current, at: now)
    }

    // MARK: From a peer

    /// Takes frames that were decoded into the inbox.
    mutating func receiveFrames(_ packets: Packets, _ slot: Int32, at now: Now) {
        var count = 0
        var plain = 0
        for index in 0..<chain.found.count {
            let place = chain.found[index].place
            guard let header = admitFrame(place, isMarked: packets.isMarked, slot, at: now) else { continue }
            count += 1
            plain += place.count
            deliver(place, header, from: slot, at: now)
        }
        if packets.isCutOff { peers[Int(slot)].drops.count(.record) }
        guard plain > 0 else { return }
        peers[Int(slot)].traffic.noteReceived(plain, packets.wire)
        if let codec = packets.codec {
            peers[Int(slot)].traffic.note(codec, plain, packets.wire)
        } else if chain.found.count > 1 {
            peers[Int(slot)].traffic.noteBundle(count, plain, packets.wire)
        }
    }

    /// Checks a frame that came out of the chain, and learns where its sender is; `nil` if it is dropped.
    private mutating func admitFrame(_ place: Range<Int>, isMarked: Bool, _ slot: Int32, at now: Now) -> EthernetFrame?
    {
        guard let header = EthernetFrame(inbox.bytes(decoded: place)), place.count <= largestFrame
        else {
            peers[Int(slot)].drops.count(.frame)
            return nil
        }
        let source = header.source
        guard !source.isGroup, peers[Int(slot)].believes(source) else {
            peers[Int(slot)].drops.count(.allowedMACs)
            return nil
        }
        guard addresses.learn(header, at: slot, now: now.instant) else {
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
            switch addresses.place(for: header, at: now.instant) {
            case MACTable.here?: break
            case slot?: return
            case let other?: return send(frame, header, to: other, from: slot, at: now)
            case nil:
                guard peers[Int(slot)].flooding.admit(at: now.instant) else {
                    return peers[Int(slot)].drops.count(.storm)
                }
                flood(frame, header, except: slot, at: now)
            }
        }
        if !inbox.append(frame: place) { drops.count(.overflow) }
    }
}
