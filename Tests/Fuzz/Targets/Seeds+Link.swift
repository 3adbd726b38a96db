@testable import TestKit
@testable import TunnelCore

// Inputs made of what alice really says to bob.

extension PayloadTarget {
    static var seeds: [(name: String, bytes: [UInt8])] {
        var seeds: [(name: String, bytes: [UInt8])] = []
        for (number, policy) in [CompressionPolicy(.codec(.deflate)), .init(.codec(.zstd)), .init(.auto)].enumerated() {
            for (index, drain) in FuzzLink.drains.enumerated() {
                var seed = FuzzSeed(options: UInt8((number + index) % 16))
                for payload in FuzzLink.payloads(of: drain, policy) {
                    seed.add(payload, control: UInt8(index % 4) << 3)
                    for (content, form) in inside(payload) { seed.add(content, control: form << 6 | 4) }
                }
                seed.add([0x40], control: 0x20)
                seeds.append(("drain-\(number)-\(index)", seed.bytes))
            }
        }
        seeds.append(("records", records.bytes))
        for number in 0..<4 { seeds.append(("packs-\(number)", packs(UInt8(number)).bytes)) }
        for number in 0..<4 { seeds.append(("history-\(number)", history(UInt8(number)).bytes)) }
        for number in 0..<4 { seeds.append(("thin-\(number)", thin(UInt8(number)).bytes)) }
        for number in 0..<4 { seeds.append(("brief-\(number)", brief(UInt8(number)).bytes)) }
        for number in 0..<3 { seeds.append(("told-\(number)", told(UInt8(number)).bytes)) }
        return seeds
    }

    /// What the content of a record is, and the forms in which it may be sent again.
    private static func inside(_ payload: [UInt8]) -> [([UInt8], UInt8)] {
        let bytes = unsafe payload.span.bytes
        guard let record = Record(bytes) else { return [] }
        let body = Array(payload[record.body])
        if record.kind == .bundle { return [(body, 1 as UInt8), (body, 2)] }
        guard record.kind == .unit, let unit = unsafe UnitRecord(parameter: record.parameter, body: body.span.bytes)
        else {
            return []
        }
        var decoded = [UInt8](repeating: 0, count: unit.decoded)
        var span = decoded.mutableSpan
        var space = unsafe span.mutableBytes
        let coded = bytes.extracting(record.body.lowerBound + 2..<record.body.upperBound)
        let count = Decoders().decode(coded, with: unit.codec, into: &space)
        return count == unit.decoded ? [1, 2, 3].map { (decoded, $0) } : []
    }

    /// Packs in one datagram and in three, and what is none.
    private static func packs(_ options: UInt8) -> FuzzSeed {
        var seed = FuzzSeed(options: options << 2 | 16)
        for sizes in [[3000], [1472, 40, 1472], [9, 100, 2000, 30]] {
            let members = writeMembers(sizes.map { Member(packet: udp(1, 2, payload: $0)) })
            seed.add(members, control: 3 << 6)
            seed.add(record(0x1b, 0, members), control: 4)
            seed.add(record(0x1b, 1, members))
            seed.add(members.dropLast(), control: 3 << 6)
        }
        seed.add([0x40], control: 0x20)
        return seed
    }

    /// Units that refer to others, and what is said of them.
    private static func history(_ options: UInt8) -> FuzzSeed {
        var seed = FuzzSeed(options: options << 2 | 32)
        let members = writeMembers([Member(packet: udp(1, 2, text(200)))])
        let (recall, stream) = (UInt8(0x40), UInt8(0x80))
        for number in 0..<3 as Range<UInt8> { seed.add([1, 5, 9, 0, number] + members, control: recall) }
        for flags in [2, 3, 0x83, 1] as [UInt8] { seed.add([flags, 5, 9, 2, 7] + members, control: recall | 0x28) }
        seed.add([3, 5, 10, 1, 8] + members, control: recall)
        for word in [[0, 5, 9, 2, 0, 1], [1, 5, 9, 0]] as [[UInt8]] {
            seed.add(record(0x21, word[0], Array(word[1...])))
        }
        // Opened, three units of which the last two come in the other order, one of another epoch, closed.
        seed.add(record(0x1e, 0, [4, 18, 1, 0]), control: 0x20)
        for number in [0, 2, 1] as [UInt8] { seed.add([4, 1, 0, number, 0, 0] + members, control: stream) }
        seed.add([4, 2, 0, 0, 0, 1] + members, control: stream | 0x10)
        seed.add(record(0x1e, 2, [4, 18, 1, 0]))
        seed.add([0x40], control: 0x20)
        return seed
    }

    /// Bob's units refer to what alice has, says that she has, or has no more.
    private static func thin(_ number: UInt8) -> FuzzSeed {
        var seed = FuzzSeed(options: 99)
        let magic = writeMembers([Member(packet: udp(1, 2, [0x37, 0xa4, 0x30, 0xec] + text(300)))])
        let zstd = [0x37, 0xa4, 0x30, 0xec] + text(200)
        for number in 0..<3 as Range<UInt8> {
            seed.add([1, 5, 9, 0, number] + (number == 0 ? zstd : magic), control: 0x40)
        }
        seed.add([2, 5, 9, 1, 7] + zstd, control: 0x40)
        let isTCP = [0, 3, 1, 2][Int(number)]
        for step in 0..<14 {
            // Long ones, so that there is soon enough for a stream.
            seed.add([UInt8](repeating: 0x40, count: 1000 + 6 * step * isTCP), control: step % 5 == 4 ? 0x30 : 0x28)
        }
        switch number {
        case 0: for count in 1..<8 as Range<UInt8> { seed.add(record(0x21, 0, [0, 0, count, 0, 1, 2]), control: 0x28) }
        case 1: for stream in 0..<3 as Range<UInt8> { seed.add(record(0x1e, 2, [stream, 18, 0, 0]), control: 0x28) }
        case 2: seed.add(record(0x21, 1, [0, 0, 0]), control: 0x28)
        default: seed.add(record(0x1e, 1, [0, 18, 0, 0]), control: 0x28)
        }
        for _ in 0..<4 { seed.add([UInt8](repeating: 0x40, count: 1100), control: 0x28) }
        return seed
    }

    /// Units in the short form: with and without the checksums of their first packet, of all kinds, and behind what was learned.
    private static func brief(_ options: UInt8) -> FuzzSeed {
        var seed = FuzzSeed(options: options << 2 | 160)
        let packets = [
            udp(1, 2, text(200)), Segment(payload: text(50)).bytes, Segment(isV6: true, payload: text(40)).bytes,
            Segment(isV6: true, isTCP: false, fragment: 0, payload: text(60)).bytes,
        ]
        for (number, packet) in zip(0..<4 as Range<UInt8>, packets) {
            let members = shortened(writeMembers([Member(packet: packet)]))
            seed.add([5, 5, 9, 0, number] + members, control: 0x40)
            seed.add([7, 5, 9, number + 1, number + 16] + members, control: number % 2 == 0 ? 0x40 : 0x68)
        }
        let all = shortened(writeMembers(packets.map { Member(packet: $0) }))
        for flags in [6, 4, 7, 0x86] as [UInt8] { seed.add([flags, 5, 9, 3, 40] + all, control: 0x68) }
        // A packet that is said to be without checksums, and is cut off; a later epoch.
        seed.add([4, 5, 9, 0, 0] + shortened(writeMembers([Member(packet: packets[1])])).dropLast(9), control: 0x40)
        seed.add([5, 5, 10, 0, 41] + all, control: 0x40)
        seed.add([6, 5, 9, 3, 42] + all, control: 0x40)
        seed.add([0x40], control: 0x20)
        return seed
    }

    /// Bob's units refer to what alice tells with hers.
    private static func told(_ number: UInt8) -> FuzzSeed {
        var seed = FuzzSeed(options: 227)
        let members = shortened(writeMembers([Member(packet: udp(1, 2, text(40)))]))
        for step in 0..<16 as Range<UInt8> {
            seed.add([UInt8](repeating: 0x40, count: 60 + 6 * Int(step)), control: 0x28)
            let news: [UInt8] =
                switch number {
                case 0: [0, 0, step + 1] + Array((0...step).suffix(4)) + [min(step + 1, 4)]
                // Of another epoch; a number that was never used, and more numbers than there may be.
                case 1: [0, step % 3, step + 1, step, 1]
                default: [0, 0, step + 1, 200 + step, step == 9 ? 40 : 1]
                }
            seed.add([13 | (step > 3 ? 2 : 0), 5, 9, 1, step] + members + news, control: 0x68)
        }
        return seed
    }

    private static func shortened(_ members: [UInt8]) -> [UInt8] {
        var members = members
        var span = members.mutableSpan
        var bytes = unsafe span.mutableBytes
        Members.shortenFirst(&bytes)
        return members
    }

    /// One of each kind that carries no packet.
    private static var records: FuzzSeed {
        var seed = FuzzSeed(options: 4)
        let reports = (1...3).map { (number: UInt64) in
            reportRecord(
                highest: number * 100, datagrams: number * 90, bytes: number * 90_000, clock: number * 1_000_000)
        }
        let hello = HelloBuilder(
            seen: true, asks: true, codecs: [.deflate, .zstd], maximumUnit: 2000, records: HelloBuilder.packetRecords
        ).bytes
        for payload in reports + [
            record(0x15, 0, little(7 as UInt64) + [0, 0]), pingRecord(1, token: 7), hello, [], helloRecord(),
        ] {
            seed.add(payload, control: 0x28)
        }
        return seed
    }
}

extension MembersTarget {
    static var seeds: [(name: String, bytes: [UInt8])] {
        (0..<32).map { number in
            // From 16 on with packs.
            let options = number & 15 | (number & 16) << 1
            var seed = FuzzSeed(options: UInt8(number % 3 == 0 ? options | 16 : options))
            var noise = Noise(seed: UInt64(number))
            for index in 0..<20 {
                let flow = UInt8(noise.next() % 4) << 4
                let size = little(UInt16(noise.next() % (index % 5 == 0 ? 9000 : 500)))
                let kind = UInt8(index % 5 == 0 ? 4 + noise.next() % 4 : 1 + noise.next() % 3)
                let patch = index % 7 == 3 ? [UInt8(noise.next() % 40), 1] : []
                seed.add(
                    size + [100] + patch, control: kind | flow | UInt8(index % 6 == 5 ? 8 : 0) | UInt8(index % 4) << 6)
            }
            seed.add(Segment(payload: text(50)).bytes)
            seed.add(Segment(isV6: true, isTCP: false, payload: text(50)).bytes, control: 0x10)
            return ("mix-\(number)", seed.bytes)
        }
    }
}

extension FrameTarget {
    static var seeds: [(name: String, bytes: [UInt8])] {
        (0..<32).map { number in
            let options = number % 8 == 1 ? number % 8 | 8 : number % 8
            let segment = Segment(
                isV6: number & 8 != 0, isTCP: number & 16 != 0, fragment: 0, payload: text(150 + 7 * options))
            let plain = [UInt8](repeating: 0, count: VirtioHeader.size) + segment.bytes
            let started = virtioHeader(
                flags: 1, 0, headerLength: 0, segment: 0, start: segment.transport, offset: segment.checksumOffset)
            var seed = FuzzSeed(options: UInt8(options))
            seed.add(plain, control: 2)
            seed.add(segment.frame(segment: 20 + 10 * options), control: 2)
            seed.add(segment.frame(segment: 50))
            seed.add(started + segment.bytes(isPartial: true), control: 3)
            return ("frames-\(number)", seed.bytes)
        }
    }
}

extension FuzzLink {
    /// What alice's device hands over before it has nothing more for now.
    static let drains: [[[UInt8]]] = [
        [udp(1, 2, text(300))],
        [udp(1, 2, payload: 40), udp(1, 2, payload: 60, port: 5), udp(1, 2, payload: 1)],
        (0..<4).map { udp(1, 2, text(100 + 10 * $0)) },
        (0..<6).map { Segment(isV6: $0 % 2 == 0, isTCP: $0 % 3 != 0, payload: text(20 * $0)).bytes },
        (0..<3).map { Segment(isV6: true, sequence: UInt32($0 * 150), payload: text(150)).bytes },
        [Segment(fragment: 0, payload: text(900)).frame(segment: 200)],
        [Segment(isV6: true, isTCP: false, fragment: 0, payload: text(900)).frame(segment: 300)],
        [Segment(fragment: 0, payload: Noise.letters(4000)).frame(segment: 1000)],
    ]

    /// The payloads that a drain becomes.
    static func payloads(of drain: [[UInt8]], _ policy: CompressionPolicy) -> [[UInt8]] {
        let fuzz = FuzzLink(policy, .init(.auto), .chacha20poly1305, merges: false)
        let now = fuzz.link.now(at: fuzz.alice)
        for bytes in drain {
            var frame = bytes[0] < 0x40 ? bytes : [UInt8](repeating: 0, count: VirtioHeader.size) + bytes
            var span = frame.mutableSpan
            var space = unsafe span.mutableBytes
            fuzz.alice.tunnel.handleDeviceRead(&space, at: now)
        }
        fuzz.link.settle(fuzz.alice)
        return fuzz.link.sightings.sent(by: fuzz.alice).compactMap(\.payload)
    }
}

extension Noise {
    /// Bytes of sixteen kinds, which shrink to half and no more.
    fileprivate static func letters(_ count: Int) -> [UInt8] {
        var noise = Noise(seed: 5)
        return noise.bytes(count).map { $0 & 15 | 0x60 }
    }
}
