import ArgumentParser
import Control
import Glibc

/// `gatewayctl capture`: packets into a file that Wireshark reads.
struct CaptureCommand: GatewayCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture",
        abstract: "Writes packets into a file for Wireshark, with the reason of each drop as a comment.",
        discussion: """
            --plain: packets as the interface has them; --wire: datagrams, sealed; --payloads: what is in the datagrams, \
            opened, for packaging/wireshark/gateway.lua. As in: capture --plain out.pcapng branch tcp port 443. The file is new, \
            and for its owner alone; - is standard output. Takes root. It ends by itself.
            """)

    @Flag(help: "What is captured.")
    var content: Content

    @Argument(help: "The file, which must not exist; - is standard output.", completion: .file())
    var file: String
    @Argument(help: "The interface if several run, a peer, words of a filter, as trace has them.", completion: .peers)
    var words: [String] = []

    @Option(help: "Ends after so many packets.")
    var count = 100_000
    @Option(help: "Ends after so many seconds.")
    var seconds = 60
    @Option(help: "Ends when the file has so many bytes.")
    var size = 64 << 20
    @Option(help: "As many bytes of a packet.")
    var bytes = 65_535

    enum Content: String, EnumerableFlag {
        case plain, wire, payloads
    }

    func perform() throws(Failure) {
        let subject = try TraceSubject(words)
        var filter = subject.filter
        filter.add("content", content.rawValue)
        for (name, value) in [("count", count), ("seconds", seconds), ("size", size), ("bytes", bytes)] {
            filter.add(name, "\(value)")
        }
        let target = CaptureTarget(file)
        try reporting { () throws(ControlError) in
            try subject.client.capture(filter) { target.write($0) }
        }
        if let failure = target.failure { throw failure }
        if file != "-" { Terminal.complain("\(target.packets) packets in \(file)") }
    }
}

/// A new file, for its owner alone, made when there is something to write. What is written ends with a whole block at any time.
private final class CaptureTarget {
    private let path: String
    private var descriptor: Int32 = -1
    private var pending: [UInt8] = []
    private(set) var packets = 0
    private(set) var failure: Failure?

    init(_ path: String) { self.path = path }

    deinit { if descriptor > STDERR_FILENO { close(descriptor) } }

    /// Writes what is whole of it; false if that can't be done.
    func write(_ bytes: [UInt8]) -> Bool {
        if descriptor < 0 {
            let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
            descriptor = path == "-" ? STDOUT_FILENO : unsafe open(path, flags, 0o600)
            guard descriptor >= 0 else { return fail("choose a file that is not there") }
        }
        pending += bytes
        var end = 0
        while pending.count - end >= 8 {
            let length = Int(word(at: end + 4))
            guard length >= 12, length <= 1 << 20 else {
                failure = Failure(.software, "the gateway sent no capture; is it another version of gateway?")
                return false
            }
            guard pending.count - end >= length else { break }
            if word(at: end) == 6 { packets += 1 }
            end += length
        }
        guard store(pending[..<end]) else { return fail("is there room?") }
        pending.removeFirst(end)
        return true
    }

    private func fail(_ cure: String) -> Bool {
        let reason = unsafe String(cString: strerror(errno)).lowercased()
        failure = Failure(errno == EEXIST ? .cantCreate : .inputOutput, "\(path): \(reason); \(cure)")
        return false
    }

    private func word(at offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(pending[offset + $1]) << (8 * UInt32($1)) }
    }

    private func store(_ bytes: ArraySlice<UInt8>) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
