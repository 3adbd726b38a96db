import Addresses
import BasicContainers

@testable import TestKit
@testable import TunnelCore

/// Datagrams of anybody, handed to bob. None that proves nothing is answered by more than it has, and the session goes on.
///
/// Options: 0 AES-256-GCM, 1 bob's device takes super-segments, 2 bob is under load.
///
/// Control: 0–1 how the content becomes a datagram, 2 congestion experienced, 3–4 from where, 5–6 time before, 7 the
/// handshake thread is busy.
struct DatagramTarget {
    private let fuzz: FuzzLink
    /// What was really sent and has not arrived.
    private let originals: [[UInt8]]

    private enum Form: Int {
        /// The content is the datagram.
        case raw
        /// The mac1 of a handshake message is made right, the receiver index of another that of the session.
        case addressed
        /// Two bytes say which original, the rest are places and what is changed there.
        case changed
        /// The same, and the mac1 made right.
        case changedAndAddressed
    }

    private static let waits: [Interval] = [.seconds(0), .milliseconds(25), .milliseconds(1200), .seconds(6)]

    init(_ input: inout FuzzInput) {
        let options = input.options()
        let cipher: CipherPolicy = options & 1 != 0 ? .auto : .chacha20poly1305
        fuzz = FuzzLink(.init(.auto), .init(.auto), cipher, merges: options & 2 != 0)
        let (pair, link) = (fuzz.pair, fuzz.link)
        link.rule = { $0.from == pair.alice.endpoint ? .drop : .deliver }
        link.send(udp(1, 2, text(700)), from: pair.alice)
        link.send(udp(1, 2, payload: 40), from: pair.alice)
        // A handshake of each side, which the other does not answer.
        link.run(for: .seconds(130))
        link.send(udp(1, 2, text(300)), from: pair.alice)
        link.run(for: .milliseconds(100))
        originals = link.sightings.sent(by: pair.alice).map(\.bytes)
        link.rule = { _ in .deliver }
        pair.forget()
        if options & 4 != 0 { pair.bob.tunnel.admission.underLoadUntil = link.instant + .seconds(20) }
    }

    func run(_ input: inout FuzzInput) throws(Violation) {
        var elapsed = Interval.seconds(0)
        var unanswered = Unanswered()
        while let step = input.step() {
            let wait = Self.waits[step.bits(5...6)]
            if wait > .seconds(0), elapsed + wait < .seconds(40) {
                elapsed = elapsed + wait
                // Alice speaks too meanwhile.
                fuzz.bob.isWorking = true
                // What waited for the handshake thread is answered now, even if nothing else happens meanwhile.
                try fuzz.flush()
                fuzz.link.run(for: wait)
                unanswered = Unanswered()
            }
            fuzz.bob.isWorking = !step.isSet(7)
            try take(step, &unanswered)
        }
        fuzz.bob.isWorking = true
        try fuzz.flush()
        // A handshake that needs a cookie takes two attempts.
        fuzz.link.run(for: .seconds(30))
        try fuzz.expectAlive()
    }

    /// What bob was told before his handshake thread had time.
    private struct Unanswered {
        var bytes = 0
        var hasOriginal = false
    }

    private func take(_ step: FuzzInput.Step, _ unanswered: inout Unanswered) throws(Violation) {
        let form = Form(rawValue: step.bits(0...1)) ?? .raw
        var datagram = form == .raw || form == .addressed ? step.content : changed(step.content)
        var isOriginal = originals.contains(datagram)
        if form == .addressed || form == .changedAndAddressed { datagram = addressed(datagram) }
        isOriginal = isOriginal || originals.contains(datagram)
        guard datagram.count <= Limits.datagram else { return }
        fuzz.pair.forget()
        let source = step.bits(3...4) == 0 ? fuzz.alice.endpoint : site(UInt8(10 + step.bits(3...4))).endpoint
        try fuzz.deliver(datagram, from: source, trafficClass: step.isSet(2) ? 3 : 0)
        try fuzz.flush()
        fuzz.frames = []
        unanswered.bytes += datagram.count
        unanswered.hasOriginal = unanswered.hasOriginal || isOriginal
        guard fuzz.bob.isWorking else { return }
        let size = fuzz.link.sightings.sent(by: fuzz.bob).reduce(0) { $0 + $1.bytes.count }
        let isProved = unanswered.hasOriginal
        try require(isProved || size <= unanswered.bytes, "\(unanswered.bytes) bytes are answered by \(size)")
        unanswered = Unanswered()
    }

    /// An original with some bytes changed, or cut off.
    private func changed(_ content: [UInt8]) -> [UInt8] {
        guard content.count >= 2, !originals.isEmpty else { return content }
        var datagram = originals[Int(content[0]) % originals.count]
        if content[1] != 0 { datagram = Array(datagram.prefix(Int(content[1]))) }
        for index in stride(from: 2, to: content.count - 1, by: 2) where Int(content[index]) < datagram.count {
            datagram[Int(content[index])] ^= content[index + 1]
        }
        return datagram
    }

    private func addressed(_ datagram: [UInt8]) -> [UInt8] {
        switch (datagram.first, datagram.count) {
        case (1, Initiation.size): return signed(datagram, size: Initiation.Bytes.self)
        case (2, Response.size):
            var datagram = datagram
            let session = fuzz.bob.tunnel.peers.slot(of: fuzz.alice.publicKey).map {
                fuzz.bob.tunnel.peers[$0].handshaking.pending?.rawValue ?? 0
            }
            datagram.replaceSubrange(8..<12, with: little(session ?? 0))
            return signed(datagram, size: Response.Bytes.self)
        case (3, 8...), (4, 8...):
            var datagram = datagram
            guard let session = fuzz.bob.sessions(with: fuzz.alice.publicKey).first else { return datagram }
            datagram.replaceSubrange(
                4..<8, with: little(fuzz.bob.tunnel.services.sessions[session].wireGuard.localIndex?.rawValue ?? 0))
            return datagram
        default: return datagram
        }
    }

    /// With the mac1 that bob looks for.
    private func signed<let count: Int>(_ message: [UInt8], size: InlineArray<count, UInt8>.Type) -> [UInt8] {
        var bytes = InlineArray<count, UInt8> { message[$0] }
        var jar = CookieJar(fuzz.bob.publicKey)
        jar.sign(&bytes, at: Now(instant: .distantPast, wall: WallTime(seconds: 0, nanoseconds: 0)))
        return (0..<count).map { bytes[$0] }
    }

    /// Nothing, each original as it is, and all kinds of changes.
    static var seeds: [(name: String, bytes: [UInt8])] {
        var empty = FuzzInput([])
        let originals = DatagramTarget(&empty).originals
        return originals.indices.map { index in
            var seed = FuzzSeed(options: UInt8(index % 8))
            seed.add(originals[index], control: 1)
            seed.add([UInt8(index), 0], control: 2)
            seed.add([UInt8(index), 0, 4, 1, 20, 255], control: 3)
            seed.add([UInt8(index), 60, 8, 1], control: 0x2a)
            seed.add([UInt8(index), 0], control: 0x8b)
            return ("original-\(index)", seed.bytes)
        } + [("responses", Self.responses.bytes)]
    }

    private static var responses: FuzzSeed {
        var seed = FuzzSeed(options: 4)
        for (type, size) in [(1, 148), (2, 92), (3, 64), (4, 32), (4, 96)] {
            seed.add([UInt8(type), 0, 0, 0] + text(size - 4), control: 1)
            seed.add([UInt8(type), 0, 0, 0] + text(size - 4), control: 0x29)
        }
        return seed
    }
}
