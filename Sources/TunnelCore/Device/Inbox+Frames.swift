import BasicContainers

// Ethernet frames on their way to a TAP: the packets in them are merged as those for a TUN, behind the Ethernet header of the first.

extension Inbox {
    /// Adds a decoded Ethernet frame: to the last write if the packet in it continues that one's, else as a write of its own; one that
    /// stands for several as it is if the device takes that, else cut. False if there is no room.
    mutating func append(frame decoded: Decoded) -> Bool {
        decoded.shape.segment > 0 ? append(segmentedFrame: decoded) : append(frame: decoded.place)
    }

    private mutating func append(frame range: Range<Int>) -> Bool {
        guard list.count < Self.writeCapacity, pieceList.count + 3 <= Self.pieceCapacity else { return false }
        let piece = unsafe Piece(base: UnsafeRawPointer(decoded.pointer(at: range.lowerBound)), count: range.count)
        let frame = unsafe piece.bytes
        // What is padded is written as it came.
        guard let ethernet = EthernetFrame(frame), let header = ethernet.packet(in: frame), mergeable(header),
            frame.byteCount == ethernet.payload + header.length,
            let candidate = MergeCandidate(frame.extracting(ethernet.payload...), header),
            candidate.hasRightChecksum(frame.extracting(ethernet.payload...), header)
        else {
            finish()
            addWrite(frame)
            return true
        }
        let packet = frame.extracting(ethernet.payload...)
        if let merging = merge, merging.start == ethernet.payload {
            let head = head(of: merging)
            let (around, first) = unsafe (pieceList[head - 1].bytes, pieceList[head].bytes)
            if frame.begins(with: around), merge?.append(packet, candidate, to: first) == true {
                extendWrite(by: packet.extracting(candidate.payload..<candidate.end))
                return true
            }
        }
        finish()
        addWrite(frame.extracting(0..<ethernet.payload))
        extendWrite(by: packet)
        merge = Merge(candidate, header, of: candidate.end - candidate.payload, behind: ethernet.payload)
        return true
    }

    /// The same for one that stands for several.
    private mutating func append(segmentedFrame decoded: Decoded) -> Bool {
        guard list.count < Self.writeCapacity, pieceList.count + 3 <= Self.pieceCapacity else { return false }
        let (range, shape) = (decoded.place, decoded.shape)
        let piece = unsafe Piece(base: UnsafeRawPointer(self.decoded.pointer(at: range.lowerBound)), count: range.count)
        let frame = unsafe piece.bytes
        guard let ethernet = EthernetFrame(frame), let header = ethernet.packet(in: frame) else { return false }
        let packet = frame.extracting(ethernet.payload...)
        guard mergeable(header), !shape.layout.hasLateFlags(packet) else {
            return append(cutting: decoded, ethernet, header)
        }
        let candidate = MergeCandidate(packet, header)
        if let candidate, let merging = merge, merging.start == ethernet.payload {
            let head = head(of: merging)
            let (around, first) = unsafe (pieceList[head - 1].bytes, pieceList[head].bytes)
            if frame.begins(with: around),
                merge?.append(segmented: packet, candidate, of: shape.segment, to: first) == true
            {
                extendWrite(by: packet.extracting(candidate.payload..<candidate.end))
                return true
            }
        }
        finish()
        let virtio = shape.layout.virtio(segment: shape.segment)
        var content = self.decoded[range.lowerBound + ethernet.payload..<range.upperBound]
        Self.prepare(&content, header, shape.layout, virtio)
        addWrite(frame.extracting(0..<ethernet.payload), virtio.ahead(of: ethernet.payload))
        extendWrite(by: packet)
        list[list.count - 1].packets = shape.packets(of: range.count)
        if let candidate { merge = Merge(candidate, header, of: shape.segment, behind: ethernet.payload) }
        return true
    }

    /// Adds the frames that one stands for.
    private mutating func append(cutting decoded: Decoded, _ ethernet: EthernetFrame, _ header: InternetPacket) -> Bool
    {
        let range = decoded.place
        let piece = unsafe Piece(base: UnsafeRawPointer(self.decoded.pointer(at: range.lowerBound)), count: range.count)
        var whole = unsafe piece.mutableBytes
        let virtio = decoded.shape.layout.virtio(segment: decoded.shape.segment)
        guard var split = FrameSplit(whole.bytes, ethernet, header, virtio: virtio) else { return false }
        while let next = split.nextFrame(in: &whole) {
            let place = decode(next.count) { space in
                space.copy(whole.bytes.extracting(next), to: 0)
                return next.count
            }
            guard let place, append(frame: place) else { return false }
        }
        return true
    }
}
