import BasicContainers

// Packets that wait for a link with a rate, before they are compressed.

extension Peer {
    /// Keeps a packet until its flow's turn comes.
    mutating func enqueue(_ packet: RawSpan, with header: InternetPacket, _ services: inout Services) {
        let flow = services.egress.flows.find(packet, header, to: id.slot)
        enqueue(packet, of: flow, from: 0, &services)
    }

    /// Keeps the packets that a super-segment stands for: it as it is in front of a fast link, which gains nothing by having them apart.
    mutating func enqueueSegments(
        of packet: inout MutableRawSpan, with header: InternetPacket, virtio: VirtioHeader, _ services: inout Services
    ) {
        guard var split = Split(packet.bytes, header, virtio: virtio) else { return services.drops.count(.notIP) }
        let flow = services.egress.flows.find(packet.bytes, header, to: id.slot)
        if rates.isFound { ageRate(&services) }
        let isWhole = services.egress.queue.append(
            packet.bytes.extracting(0..<header.length), as: virtio, packets: split.packets, of: flow.hash, to: id.slot,
            at: services.now.instant)
        guard !isWhole else { return }
        while let range = split.nextPacket(in: &packet) {
            enqueue(packet.bytes.extracting(range), of: flow, from: 0, &services)
        }
    }

    /// Keeps a frame.
    mutating func enqueue(
        _ frame: RawSpan, with header: EthernetFrame, from ingress: MACTable.Place?, _ services: inout Services
    ) {
        let flow: FlowTable.Flow
        let origin = ingress?.number ?? .min
        if let packet = header.packet(in: frame) {
            let inner = frame.extracting(header.payload..<header.payload + packet.length)
            let stations = services.egress.flows.stations(frame, header, from: origin)
            flow = services.egress.flows.find(inner, packet, between: stations, to: id.slot)
        } else {
            flow = services.egress.flows.find(ethernet: frame)
        }
        enqueue(frame, of: flow, from: origin, &services)
    }

    private mutating func enqueue(
        _ bytes: RawSpan, of flow: FlowTable.Flow, from origin: Int32, _ services: inout Services
    ) {
        if rates.isFound { ageRate(&services) }
        let dropped = services.egress.queue.append(
            bytes, of: flow.hash, from: origin, to: id.slot, at: services.now.instant)
        guard let dropped else { return }
        guard dropped.peer == id.slot else { return services.dropsOfOthers.append(dropped) }
        for _ in 0..<dropped.packets { drops.count(.queueFull) }
    }

    // MARK: Out

    /// Sends packets of the flow whose turn it is, as one unit if they are compressed.
    mutating func send(_ grant: PacketQueue.Grant, _ services: inout Services) {
        let rate = services.egress.queue.rate(of: id.slot) ?? services.egress.queue.shaper?.rate ?? 1_000_000
        let setting = CoDel.Setting(
            roundTrip: tcpTrip(services), packet: Shaper(rate: rate).time(for: services.egress.sizes.mtu),
            isFast: rate >= Shaper.fast)
        let mark = services.egress.outbox.mark
        services.egress.queue.begin()
        let counter = keypairs.current.map { services.sessions[$0].nextCounter } ?? 0
        var taken = 0
        while taken < Limits.unit, services.egress.outbox.hasRoom,
            let packet = services.egress.queue.pop(grant, setting, at: services.now.instant)
        {
            taken += release(packet, &services)
            // Numbers, and whether anything is gathered: what is shared is not lent as a whole for every packet, since that copies it.
            let sent = cost(
                from: mark.appended, to: services.egress.outbox.appended,
                overhead: services.egress.queue.linkOverhead)
            guard sent == 0 || sent + nextCost(of: grant, services) <= grant.plain else { break }
            // What a byte becomes is not known before; the flow's last unit tells about it.
            guard services.egress.gathering.count > 0 else { continue }
            // What is not compressed gains little by leaving together, and flows that send little would wait for a whole round of it.
            let isPack = services.egress.gathering.pack(for: id.slot) != nil
            let most = isPack ? grant.plain - nextCost(of: grant, services) : grant.unit - 1
            guard gatheredWire(services) <= most, !isFull(before: grant, services) else { break }
        }
        sendBatches(&services)
        let cost = cost(
            from: mark.appended, to: services.egress.outbox.appended, overhead: services.egress.queue.linkOverhead)
        services.egress.queue.noteShrunk(taken, to: cost, for: id.slot)
        let isHeld = services.egress.queue.hold(&services.egress.outbox, since: mark, of: grant, cost: cost)
        if isHeld, services.egress.sent.keeps(id.slot), let session = keypairs.current {
            let end = services.sessions[session].nextCounter
            if counter < end { services.egress.sent.noteDeparture(counter..<end, of: id.slot, at: .distantFuture) }
        }
        services.egress.queue.end(grant, cost, isHeld: isHeld, at: services.now.instant)
    }

    /// The way there and back as TCP sees it: what is sent again takes another one.
    private func tcpTrip(_ services: borrowing Services) -> Interval? {
        // Where the way is far parity gives nearly all back; where it is not, every third or so is sent again all the same.
        let isCovered = repair.parity.plan != nil && quality.shortestTrip.map { $0 > .milliseconds(100) } ?? false
        guard !isCovered, services.now.instant - repair.lossAt < RepairState.memory else { return quality.usualTrip }
        return quality.roundTrip.map { Interval(nanoseconds: $0.nanoseconds * 9 / 4) }
    }

    /// Sends the next datagrams of a unit that leaves as the link takes it: one, or as many as may leave at once.
    mutating func sendSealed(_ services: inout Services) {
        var left = services.egress.queue.atOnce(for: id.slot)
        repeat {
            guard let datagram = services.egress.queue.popSealed(of: id.slot) else { return }
            defer { services.egress.queue.release(datagram) }
            left -= datagram.length + Self.datagramCost
            guard let path else { return }
            if rates.isFound { noteDeparture(of: datagram, &services) }
            let size = services.egress.depart(
                datagram, to: Destination(path: path, peer: id.slot, limit: pathMTU.limit), at: services.now.instant)
            services.egress.queue.charge(size, datagrams: 1, to: id.slot, at: services.now.instant)
            guard let next = services.egress.queue.nextSealed(of: id.slot), next + Self.datagramCost <= left else {
                return
            }
        } while services.egress.outbox.hasRoom
    }

    /// Sends or gathers a packet that has waited; its bytes, 0 if it was dropped.
    private mutating func release(_ packet: PacketQueue.Waiting, _ services: inout Services) -> Int {
        defer { services.egress.queue.release(packet) }
        var bytes = unsafe services.egress.queue.bytes(of: packet)
        if services.cargo == .frames {
            guard let header = EthernetFrame(bytes.bytes) else { return 0 }
            if packet.isCongested, header.packet(in: bytes.bytes) != nil {
                var inner = bytes.part(header.payload...)
                guard noteCongested(&inner, &services) else { return 0 }
            }
            let ingress = packet.origin == .min ? nil : MACTable.Place(packet.origin)
            send(bytes.bytes, with: header, from: ingress, &services)
        } else if let virtio = services.egress.queue.virtio(of: packet) {
            release(&bytes, as: virtio, isCongested: packet.isCongested, &services)
        } else {
            guard !packet.isCongested || noteCongested(&bytes, &services), let header = InternetPacket(bytes.bytes)
            else {
                return 0
            }
            sendNow(bytes.bytes, with: header, &services)
        }
        return bytes.byteCount
    }

    /// Sends or gathers a super-segment that has waited; if its flow's queue stands and it can't be marked, without its first packet.
    private mutating func release(
        _ bytes: inout MutableRawSpan, as virtio: VirtioHeader, isCongested: Bool, _ services: inout Services
    ) {
        guard let header = InternetPacket(bytes.bytes) else { return }
        guard isCongested, !CongestionBits.markExperienced(&bytes) else {
            if isCongested { marks &+= 1 }
            return sendNow(&bytes, with: header, virtio: virtio, &services)
        }
        guard var split = Split(bytes.bytes, header, virtio: virtio), let first = split.nextPacket(in: &bytes) else {
            return
        }
        if services.trace.isOn { traceDropped(bytes.bytes.extracting(first), .queueDelay, &services) }
        drops.count(.queueDelay)
        while let range = split.nextPacket(in: &bytes) {
            sendNow(bytes.bytes.extracting(range), with: header.resized(to: range.count), &services)
        }
    }

    /// Marks a packet of a flow whose queue stands; false if it can't be marked, and is dropped.
    private mutating func noteCongested(_ packet: inout MutableRawSpan, _ services: inout Services) -> Bool {
        guard CongestionBits.markExperienced(&packet) else {
            if services.trace.isOn { traceDropped(packet.bytes, .queueDelay, &services) }
            drops.count(.queueDelay)
            return false
        }
        marks &+= 1
        return true
    }

    /// What has gone to the outbox meanwhile, on the link.
    private func cost(from before: Outbox.Appended, to now: Outbox.Appended, overhead: Int) -> Int {
        Int(now.bytes &- before.bytes) + Int(now.datagrams &- before.datagrams) * (Transport.outerHeaders + overhead)
    }

    /// What the flow's next packet takes on the link, more or less, if it is sent as it is.
    private func nextCost(of grant: PacketQueue.Grant, _ services: borrowing Services) -> Int {
        let length = services.egress.queue.nextLength(of: grant) ?? 0
        return length + (length / max(services.egress.sizes.mtu, 1) + 1) * Self.datagramCost
    }

    /// What a datagram takes on the link besides the packet in it.
    private static let datagramCost = 80

    /// Whether the flow's next packet has no room in what is gathered: alone in a unit of its own it would be a large one.
    private func isFull(before grant: PacketQueue.Grant, _ services: borrowing Services) -> Bool {
        guard services.egress.gathering.count > 0, let next = services.egress.queue.nextLength(of: grant) else {
            return false
        }
        for index in 0..<Gathering.capacity {
            guard let batch = services.egress.gathering[index], batch.peer == id.slot else { continue }
            if batch.bytes + next + Members.overhead * (batch.count + 1) > batch.limit { return true }
        }
        return false
    }

    /// What is gathered for the peer, as it will probably be on the wire.
    private func gatheredWire(_ services: borrowing Services) -> Int {
        guard services.egress.gathering.count > 0 else { return 0 }
        var sum = 0.0
        for index in 0..<Gathering.capacity {
            guard let batch = services.egress.gathering[index], batch.peer == id.slot else { continue }
            if case .unit(_, let flow) = batch.purpose {
                sum += Double(batch.bytes) * services.egress.flows.fraction(flow)
            } else {
                sum += Double(batch.wire)
            }
        }
        return Int(sum)
    }
}
