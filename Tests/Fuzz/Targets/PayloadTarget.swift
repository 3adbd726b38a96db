import Addresses
import CZlib

@testable import TestKit
@testable import TunnelCore

/// Payloads that alice seals for bob. Whatever they are, what bob's device gets are whole packets of hers, what bob says
/// keeps to what she announced, and the session goes on.
///
/// Options: 0–1 bob's compression, 2 AES-256-GCM, 3 bob's device takes super-segments, 4 both take packs, and what comes in pieces is
/// one, 5 both take units that refer to others: what comes as deflate is a RECALL, what comes as zstd a STREAM, of which the content begins
/// with the fields before the size; with 6 beside it bob has a link with a rate, so that his units refer to what is said in alice's name
/// that she has, and she gets of his packets what comes through, as they were; 7 a RECALL whose parameter says that it is in the short form
/// is so.
///
/// Control: 0 congestion experienced, 1 on WireGuard's lane, 2 what came out stays in the inbox, 3–4 time before, 5 bob has
/// something to send afterwards, 6–7 how the content becomes a payload.
struct PayloadTarget: ~Copyable {
    private let fuzz: FuzzLink
    private let packs: Bool
    private let refers: Bool
    private let isThin: Bool
    private let isBrief: Bool
    /// What alice announced last.
    private var announced = Hello(
        seen: true, asks: false, codecs: .all, maximumUnit: Limits.unit, records: RecordSet.packets)
    private static let announcesPacks = Hello(
        seen: true, asks: false, codecs: .all, maximumUnit: Limits.unit, records: RecordSet.packets.union(.pieces))
    private static let histories: RecordSet = [.history, .recalls, .briefRecalls, .repair, .init(.parity)]
    private let encoders = Encoders()
    private var number: UInt16 = 0
    private var elapsed = Interval.seconds(0)
    /// The packets that bob sent.
    private var answered: Set<[UInt8]> = []

    /// What the content of a step is.
    private enum Form: Int {
        case payload, deflate, zstd, fragments
    }

    private static let waits: [Interval] = [.seconds(0), .milliseconds(60), .milliseconds(1100), .seconds(11)]
    /// Before a session is renewed.
    private static let longest = Interval.seconds(90)
    private static let policies: [CompressionPolicy] = [
        .init(.auto), .init(.receive), .init(.codec(.deflate)), .init(.codec(.zstd)),
    ]

    init(_ input: inout FuzzInput) {
        let options = input.options()
        fuzz = FuzzLink(
            .init(.auto), Self.policies[Int(options & 3)], options & 4 != 0 ? .auto : .chacha20poly1305,
            merges: options & 8 != 0, packs: options & 16 != 0, history: options & 32 != 0)
        packs = options & 16 != 0
        refers = options & 32 != 0
        isThin = options & 96 == 96
        isBrief = options & 128 != 0
        if packs { announced = Self.announcesPacks }
        guard isThin else { return }
        announced.records.formUnion(Self.histories)
        setRate(20_000_000)
    }

    consuming func run(_ input: inout FuzzInput) throws(Violation) {
        while let step = input.step() {
            try wait(Self.waits[step.bits(3...4)])
            for payload in payloads(step) {
                note(payload)
                guard let datagram = seal(payload, onWireGuard: step.isSet(1)) else { continue }
                try fuzz.deliver(datagram, from: fuzz.alice.endpoint, trafficClass: step.isSet(0) ? 3 : 0)
            }
            if !step.isSet(2) { try fuzz.flush() }
            if step.isSet(5) { try answer(step.content.count) }
            fuzz.frames = []
        }
        if isThin {
            setRate(nil)
            fuzz.link.run(for: .seconds(1))
            _ = fuzz.alice.driver.takeWrites()
            try fuzz.flush()
        }
        try fuzz.expectAlive()
    }

    private func setRate(_ rate: UInt64?) {
        fuzz.link.change(fuzz.bob) { tunnel, now in tunnel.setRate(rate, of: fuzz.alice.publicKey, at: now) }
    }

    private mutating func wait(_ interval: Interval) throws(Violation) {
        guard interval > .seconds(0), elapsed + interval < Self.longest else { return }
        try fuzz.flush()
        elapsed = elapsed + interval
        fuzz.link.run(for: interval)
    }

    // MARK: What alice says

    private mutating func payloads(_ step: FuzzInput.Step) -> [[UInt8]] {
        let content = step.content
        // By its first byte it is a packet, or members.
        let layout: UInt8 = [4, 6].contains((content.first ?? 0) >> 4) ? 0 : 0x10
        switch Form(rawValue: step.bits(6...7)) ?? .payload {
        case .payload: return [isThin ? ofNow(content) : content]
        case .deflate where refers: return recall(content)
        case .zstd where refers: return stream(content)
        case .deflate: return [unitRecord(content, parameter: layout | 1)]
        case .zstd:
            return [record(0x11, layout | 2, little(UInt16(truncatingIfNeeded: content.count)) + coded(content))]
        case .fragments:
            let unit = packs ? record(0x1b, 0, content) : unitRecord(content, parameter: layout | 1)
            number &+= 1
            return (0..<3).map { index in
                let fragment = FragmentRecord(number: number, size: unit.count, index: index, count: 3)
                let head = little(number) + little(UInt16(truncatingIfNeeded: unit.count)) + [UInt8(index), 3]
                return record(0x13, 0, head + unit[fragment.range])
            }
        }
    }

    /// What alice says of units of bob's, whose epochs nobody can know: theirs is added to what it says.
    private func ofNow(_ content: [UInt8]) -> [UInt8] {
        var content = content
        guard content.count >= 8 || content.first == 0x21 && content.count >= 6 else { return content }
        if content[0] == 0x21, let epoch = fuzz.bob.tunnel.services.egress.dictionaries[Int(content[4])]?.epoch {
            content[5] &+= epoch
        } else if content[0] == 0x1e, content[4] < OutboundStreams.capacity,
            let epoch = fuzz.bob.tunnel.services.egress.streams[Int(content[4])]?.epoch
        {
            content[6] &+= UInt8(truncatingIfNeeded: epoch)
            content[7] &+= UInt8(truncatingIfNeeded: epoch >> 8)
        }
        return content
    }

    /// A RECALL whose parameter and fields before the size the content begins with; the rest is what it is decoded to, or what is coded.
    private func recall(_ content: [UInt8]) -> [[UInt8]] {
        guard content.count > 5 else { return [] }
        if isBrief, content[0] & 4 != 0 { return briefly(content) }
        let plain = Array(content[5...])
        let isCoded = content[0] & 0x80 != 0
        let fields = content[1..<5] + little(UInt16(truncatingIfNeeded: plain.count)) + check(plain)
        return [record(0x20, 0x10 | content[0] & 0x7f, fields + (isCoded ? plain : coded(plain)))]
    }

    /// The same in the short form; with *tells* the content ends with what is told, to which the epoch of bob's dictionary is added.
    private func briefly(_ content: [UInt8]) -> [[UInt8]] {
        let tells = content[0] & 8 != 0
        var told = Array(content.suffix(tells ? min(Int(content.last ?? 0) + 4, content.count - 5) : 0))
        if told.count > 1, let epoch = fuzz.bob.tunnel.services.egress.dictionaries[Int(told[0])]?.epoch {
            told[1] &+= epoch
        }
        let plain = Array(content[5..<content.count - told.count])
        let isCoded = content[0] & 0x80 != 0
        let coded =
            isCoded ? plain : deflated(plain, behind: content[0] & 2 != 0 ? entries(content[1], content[3]) : [])
        return [record(0x20, 0x10 | content[0] & 0x7f, content[1..<5] + check(plain) + coded + told)]
    }

    /// What is in a dictionary of bob's where a unit begins.
    private func entries(_ dictionary: UInt8, _ base: UInt8) -> [UInt8] {
        guard let slot = fuzz.bob.tunnel.peers.slot(of: fuzz.alice.publicKey),
            let place = fuzz.bob.tunnel.services.ingress.opener.dictionaries.find(dictionary, of: slot),
            let log = fuzz.bob.tunnel.services.ingress.opener.dictionaries[place]?.log,
            let count = log.entries(base), let content = unsafe log.content(of: count)
        else { return [] }
        return unsafe Array(content)
    }

    private func deflated(_ plain: [UInt8], behind content: [UInt8]) -> [UInt8] {
        let deflater = unsafe czlib_deflater()
        defer { unsafe czlib_deflater_free(deflater) }
        var out = [UInt8](repeating: 0, count: plain.count + 64)
        let count = unsafe czlib_deflate_behind(
            deflater, 9, &out, out.count, plain, plain.count, content, content.count)
        return Array(out.prefix(count))
    }

    /// The same of a STREAM, of stream, epoch and number; a piece of a frame is a block as it is, behind a frame's head if the number is zero.
    private func stream(_ content: [UInt8]) -> [[UInt8]] {
        guard content.count > 6 else { return [] }
        let plain = Array(content[6...])
        let head: [UInt8] = content[3] | content[4] == 0 ? [0x00, 0x40] : []
        let block = little(UInt32(truncatingIfNeeded: plain.count) << 3).prefix(3) + plain
        let fields = [content[0], 0] + content[1..<5] + little(UInt16(truncatingIfNeeded: plain.count)) + check(plain)
        return [record(0x1d, 0x10, fields + (content[5] & 1 == 0 ? head + block : plain))]
    }

    private func check(_ plain: [UInt8]) -> [UInt8] {
        little(unsafe plain.withUnsafeBytes { unsafe czlib_crc32($0.baseAddress, $0.count) })
    }

    private func coded(_ content: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: content.count + 1024)
        var span = out.mutableSpan
        var bytes = unsafe span.mutableBytes
        let count = unsafe encoders.encode(content.span.bytes, with: .zstd, level: 1, into: &bytes)
        return Array(out.prefix(count))
    }

    private func seal(_ payload: [UInt8], onWireGuard: Bool) -> [UInt8]? {
        guard payload.count <= Limits.datagram - Transport.overhead else { return nil }
        return fuzz.alice.seal(payload, to: fuzz.bob, onWireGuard: onWireGuard)
    }

    private mutating func note(_ payload: [UInt8]) {
        let bytes = unsafe payload.span.bytes
        guard let record = Record(bytes), record.kind == .hello,
            let hello = Hello(version: record.parameter, body: bytes.extracting(record.body))
        else { return }
        announced = hello
    }

    // MARK: What bob says

    /// Bob sends packets and a super-segment, and alice's device gets them.
    private mutating func answer(_ count: Int) throws(Violation) {
        let segment = Segment(
            isV6: count % 2 == 0, isTCP: count % 3 != 0, source: 2, destination: 1, fragment: 0,
            payload: text(100 + count % 4000))
        var frame = segment.frame(segment: min(100 + count % 1300, segment.payload.count - 1))
        guard let packets = kernelSplit(frame) else { return }
        let others = [udp(2, 1, text(60 + count % 1300)), udp(2, 1, text(20), port: 9)]
        try fuzz.flush()
        fuzz.pair.forget()
        let now = fuzz.link.now(at: fuzz.bob)
        for packet in others { unsafe fuzz.bob.tunnel.handlePacket(packet.span.bytes, at: now) }
        do {
            var span = frame.mutableSpan
            var bytes = unsafe span.mutableBytes
            fuzz.bob.tunnel.handleDeviceRead(&bytes, at: now)
        }
        fuzz.link.settle(fuzz.bob)
        if isThin { fuzz.link.run(for: .milliseconds(60)) }
        for sighting in fuzz.link.sightings.sent(by: fuzz.bob) { try check(sighting) }
        fuzz.link.drain()
        guard isThin else { return try requireSame(fuzz.alice.received, others + packets, merges: false) }
        answered.formUnion(others + packets)
        try require(answered.isSuperset(of: fuzz.alice.received), "bob's packet came as another")
    }

    /// Bob sends nothing that alice has not announced.
    private func check(_ sighting: Sighting) throws(Violation) {
        guard let payload = sighting.payload, !sighting.isHello, !sighting.isKeepalive, !sighting.isPlain else {
            return
        }
        let bytes = unsafe payload.span.bytes
        guard let record = Record(bytes) else { throw Violation("bob sends \(payload.prefix(16))") }
        try require(record.kind == .unit || announced.records.contains(record.kind), "bob sends a \(record.kind)")
        let unit: [UInt8]
        switch record.kind {
        case .unit: unit = payload
        case .recall:
            let isLong = record.parameter & 12 == 0
            return try require(isLong || announced.records.contains(.briefRecalls), "bob sends the short form")
        case .fragment:
            guard let fragment = FragmentRecord(bytes.extracting(record.body)), fragment.index == 0 else { return }
            unit = Array(payload[FragmentRecord.headerSize...])
            guard unit.first != Record.Kind.unit.rawValue else { break }
            // A stream's unit, or a pack.
            let kind = unit.first.flatMap(Record.Kind.init(rawValue:))
            return try require(
                kind.map { announced.records.contains($0) } == true, "bob sends pieces of \(unit.prefix(4))")
        default: return
        }
        guard unit.count > 6 else { throw Violation("bob sends a unit of \(unit.count) bytes") }
        let isKnown = Codec(rawValue: unit[1] & 15).map { announced.codecs.contains($0) } == true
        try require(isKnown, "bob uses codec \(unit[1] & 15)")
        try require(unit[1] >> 4 == 0 || announced.records.contains(.bundle), "bob sends members")
        let decoded = Int(unit[4]) | Int(unit[5]) << 8
        try require(
            decoded <= announced.maximumUnit, "bob sends a unit of \(decoded), alice takes \(announced.maximumUnit)")
    }
}

extension End {
    /// As `seal(_:to:)`, on the lane that data goes on or on WireGuard's.
    fileprivate func seal(_ payload: [UInt8], to other: End, onWireGuard: Bool) -> [UInt8]? {
        guard !onWireGuard, let session = sessions(with: other.publicKey).first,
            tunnel.services.sessions[session].aes.isOpen
        else {
            return seal(payload, to: other)
        }
        var datagram = [UInt8](repeating: 0, count: 16) + payload + [UInt8](repeating: 0, count: 16)
        var span = datagram.mutableSpan
        var bytes = unsafe span.mutableBytes
        let counter = tunnel.services.sessions[session].aes.sendCounter
        tunnel.services.sessions[session].aes.sendCounter += 1
        bytes.store(little: Transport.type, at: 0)
        bytes.store(little: tunnel.services.sessions[session].aes.remoteIndex?.rawValue ?? 0, at: 4)
        bytes.store(little: counter, at: 8)
        var sealed = bytes.part(16...)
        tunnel.services.sessions[session].aes.sending.seal(&sealed, counter: counter)
        return datagram
    }
}
