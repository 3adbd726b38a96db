// Out of the gathering: a batch leaves as what it is meant to be or, where that brings nothing, as what it could be.

extension Peer {
    /// Sends all that is gathered.
    @inline(never)
    mutating func sendBatches(_ services: inout Services) {
        sendBesidePack(&services)
        // What goes alone may have begun one.
        if let pack = services.egress.gathering.pack(for: id.slot) { sendBatch(pack, &services) }
    }

    /// Sends all that is gathered, but not what stands in the pack, unless something must not overtake it.
    mutating func sendBesidePack(_ services: inout Services) {
        for index in 0..<Gathering.capacity {
            guard let batch = services.egress.gathering[index], batch.peer == id.slot, !batch.isPack else { continue }
            sendBatch(index, &services)
        }
    }

    /// Sends a batch as what it is meant to be or, where that brings nothing, as what it could be, or packet by packet.
    mutating func sendBatch(_ index: Int, _ services: inout Services) {
        guard let batch = services.egress.gathering[index] else { return }
        defer { services.egress.gathering.close(index) }
        // What stands in the pack came before.
        if let pack = services.egress.gathering.pack(for: id.slot), pack != index,
            services.egress.gathering.shareFlows(pack, index)
        {
            sendBatch(pack, &services)
        }
        guard services.egress.outbox.takes(batch.wire) else { return services.drops.count(.overflow, batch.packets) }
        // A session that began since the batch did has still to hear what the peer takes.
        guard let session = keypairs.current, services.sessions[session].hello.hasArrived,
            services.sessions[session].canSend(at: services.now.instant), path != nil,
            !hasDemands || meetsDemands(on: session, services)
        else { return sendAlone(index, &services) }
        if case .pack = batch.purpose {
            if services.sessions[session].hello.confirmation.isDue { confirmAlone(on: session, &services) }
            if transmit(.batch(index, .pack), on: session, &services) == 0 {
                services.drops.count(.overflow, batch.packets)
            }
            return
        }
        // Nothing stands behind a record: the word goes with a lone packet, or before many.
        if services.sessions[session].hello.confirmation.isDue {
            guard batch.packets > 1 else { return sendAlone(index, &services) }
            confirmAlone(on: session, &services)
        }
        if case .unit(let codec, let flow) = batch.purpose,
            sendUnit(index, with: codec, of: flow, on: session, &services)
        {
            return
        }
        let policy = policy(services)
        if batch.count > 1, batch.bytes <= policy.limits.body, policy.hello.records.contains(.bundle),
            transmit(.batch(index, .bundle), on: session, &services) > 0
        {
            return
        }
        sendAlone(index, &services)
    }

    /// Sends a batch as a unit; false if that is not smaller.
    private mutating func sendUnit(
        _ index: Int, with codec: Codec, of flow: FlowTable.Flow, on session: SessionSlot, _ services: inout Services
    ) -> Bool {
        guard let batch = services.egress.gathering[index] else { return false }
        if let stream = stream(for: index, of: flow, on: session, &services) {
            if dropForCongestion(index, in: stream, &services) { return true }
            let size = transmit(.batch(index, .stream(stream, at: services.now.instant)), on: session, &services)
            if size > 0 {
                services.egress.flows.noteCoded(batch.plain, to: size, on: flow)
                if services.egress.streams.isSample(stream) {
                    compare(index, with: codec, of: flow, in: stream, &services)
                }
                return true
            }
        }
        if history.isWanted, let (form, told) = recall(for: index, of: flow, on: session, &services),
            transmit(.batch(index, form), on: session, &services) > 0
        {
            if let told, services.egress.hasToldWord {
                services.ingress.opener.dictionaries.noteTold(told, at: services.now.instant)
            }
            return true
        }
        let fraction = services.egress.flows.fraction(flow)
        let form = policy(services).form(codec, size: batch.bytes, fraction: fraction)
        let size = transmit(.batch(index, form), on: session, &services)
        guard size > 0 else {
            services.egress.flows.noteFailure(on: flow, size: batch.bytes)
            noteSkipped(.backoff, batch.packets, &services)
            return false
        }
        services.egress.flows.noteCoded(batch.plain, to: size, on: flow)
        return true
    }

    /// Sends the packets of a batch one by one, as if they had not been gathered.
    private mutating func sendAlone(_ index: Int, _ services: inout Services) {
        guard let batch = services.egress.gathering[index] else { return }
        for number in 0..<batch.count {
            var packet = unsafe services.egress.gathering.packet(number, of: index)
            let shape = services.egress.gathering.shape(number, of: index)
            if services.cargo == .frames {
                let flow = services.egress.flows.find(services.egress.gathering.flow(number, of: index))
                sendAlone(&packet, shape, of: flow, &services)
                continue
            }
            guard let header = InternetPacket(packet.bytes) else { continue }
            if shape.segment == 0 {
                send(packet.bytes, with: header, &services)
            } else {
                let virtio = shape.layout.virtio(segment: shape.segment)
                sendSegments(of: &packet, with: header, virtio: virtio, &services)
            }
        }
    }
}
