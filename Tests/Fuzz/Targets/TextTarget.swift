@testable import Capture
@testable import Control
@testable import Steward

/// Texts and files. The first byte says of which kind; nothing makes a reader do anything but read it or say what is wrong,
/// and it does not matter in which pieces it comes.
enum TextTarget {
    private enum Kind: UInt8, CaseIterable {
        case configuration, uapi, http, json, capture, steward
    }

    static func run(_ input: inout FuzzInput) throws(Violation) {
        let options = input.options()
        let bytes = input.rest()
        switch Kind(rawValue: options & 7) {
        case .configuration: try configuration(String(decoding: bytes, as: UTF8.self))
        case .uapi: try uapi(bytes)
        case .http: try http(bytes, piece: Int(options >> 3) + 1)
        case .json: try json(bytes)
        case .capture: try capture(bytes, piece: Int(options >> 3) + 1)
        case .steward: try steward(bytes)
        case nil: break
        }
    }

    // MARK: What daemon and steward say to each other

    private static func steward(_ bytes: [UInt8]) throws(Violation) {
        if let request = try? StewardRequest(bytes) {
            let written = request.bytes
            try require((try? StewardRequest(written))?.bytes == written, "a request is not read back")
        }
        if let message = SuccessionMessage(bytes) {
            try require(SuccessionMessage(message.bytes) == message, "a word of an upgrade is not read back")
        }
        if let reply = try? StewardReply(bytes) {
            let written = reply.bytes
            try require((try? StewardReply(written))?.bytes == written, "a reply is not read back")
        }
    }

    // MARK: Config file

    private static func configuration(_ text: String) throws(Violation) {
        let (configuration, diagnostics) = Configuration.parse(text: text, file: "x.conf", name: "x")
        try require((configuration == nil) == diagnostics.hasErrors, "errors and a configuration, or neither")
        for line in diagnostics.map(\.description) {
            try require(
                !line.utf8.contains { $0 < 32 } && line.utf8.count < 4096, "a diagnostic of several lines: \(line)")
        }
        guard let written = configuration?.text() else { return }
        let (again, complaints) = Configuration.parse(text: written, file: "x.conf", name: "x")
        try require(again?.text() == written, "not read back: \(written)\n\(complaints)")
    }

    // MARK: UAPI

    private static func uapi(_ bytes: [UInt8]) throws(Violation) {
        var parser = UAPIParser()
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let outcome: UAPIParser.Outcome?
            do throws(UAPIError) { outcome = try parser.take(line) } catch { return }
            if case .request(.set(let changes)) = outcome { try ordered(changes) }
        }
    }

    /// What is about a peer stands behind one.
    private static func ordered(_ changes: [UAPIChange]) throws(Violation) {
        var hasPeer = false
        for change in changes {
            switch change {
            case .privateKey, .listenPort, .fwmark, .replacePeers: try require(!hasPeer, "\(change) of a peer")
            case .peer: hasPeer = true
            default: try require(hasPeer, "\(change) of no peer")
            }
        }
    }

    // MARK: HTTP

    private static func http(_ bytes: [UInt8], piece: Int) throws(Violation) {
        let whole = reply([bytes])
        let pieces = reply(
            stride(from: 0, to: bytes.count, by: piece).map { Array(bytes[$0..<min($0 + piece, bytes.count)]) })
        try require(whole == pieces, "in pieces of \(piece) it is another reply")
    }

    /// As the client reads it; `nil` if it is malformed.
    private static func reply(_ pieces: [[UInt8]]) -> HTTPReply? {
        var bytes: [UInt8] = []
        var head: HTTPReply.Head?
        do throws(HTTPReply.Malformed) {
            for piece in pieces + [[]] {
                bytes += piece
                if head == nil { head = try HTTPReply.Head.parse(bytes) }
                if let head, let reply = try HTTPReply.parse(bytes, head: head, atEnd: piece.isEmpty) { return reply }
            }
        } catch {}
        return nil
    }

    // MARK: JSON

    private static func json(_ bytes: [UInt8]) throws(Violation) {
        _ = decoded(KeyChange.self, bytes)
        _ = decoded(PresharedKeyChange.self, bytes)
        guard let statistics = decoded(InterfaceStatistics.self, bytes) else { return }
        _ = StatisticsText.render([statistics], now: 1_764_000_063)
        _ = ShowText.render([statistics], now: 1_764_000_063, ink: .colors)
        let written: [UInt8]
        do throws(JSON.Malformed) { written = try JSON.encode(statistics) } catch { throw Violation(error.description) }
        try require(decoded(InterfaceStatistics.self, written) == statistics, "not read back")
    }

    private static func decoded<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) -> Value? {
        do throws(JSON.Malformed) { return try JSON.decode(type, from: bytes) } catch { return nil }
    }

    // MARK: Captures

    private struct Reading: Equatable {
        var frames: [CapturedFrame] = []
        var failure: CaptureFailure?
        var isTruncated = false
    }

    private static func capture(_ bytes: [UInt8], piece: Int) throws(Violation) {
        let whole = read(bytes, piece: max(bytes.count, 1))
        try require(read(bytes, piece: piece) == whole, "in pieces of \(piece) it is another capture")
        let count = whole.frames.reduce(0) { $0 + $1.bytes.count }
        try require(count <= bytes.count, "\(count) bytes of frames in \(bytes.count)")
        for frame in whole.frames {
            guard case .packet(let packet) = frame.content else { continue }
            try require(packet.count >= 20 && packet.count <= frame.bytes.count, "a packet of \(packet.count) bytes")
        }
    }

    private static func read(_ bytes: [UInt8], piece: Int) -> Reading {
        var reading = Reading()
        var next = 0
        do throws(CaptureFailure) {
            var reader = try CaptureReader { () throws(CaptureFailure) in
                let part = Array(bytes[next..<min(next + piece, bytes.count)])
                next += part.count
                return part
            }
            while let frame = try reader.next() { reading.frames.append(frame) }
            reading.isTruncated = reader.isTruncated
        } catch {
            reading.failure = error
        }
        return reading
    }
}
