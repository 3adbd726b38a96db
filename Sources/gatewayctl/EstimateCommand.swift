import Addresses
import ArgumentParser
import Capture
import Control
import Estimate
import TunnelCore

/// `gatewayctl estimate`: what compression would do for the traffic of a capture.
struct EstimateCommand: GatewayCommand {
    static let configuration = CommandConfiguration(
        commandName: "estimate", abstract: "Runs a capture through two tunnels in memory: what a link would save.",
        discussion: """
            CAPTURE is a pcap or pcapng file, of whole packets, as they are inside the tunnel: from tcpdump -w on the \
            interface that faces the network behind the gateway. Each packet is compressed, sealed, opened and compared \
            with what it was; nothing leaves the machine.
            """)

    @Argument(help: "The file; - is standard input.", completion: .file(extensions: ["pcap", "pcapng"]))
    var capture: String

    @Option(help: "What compresses.")
    var compression = CompressionChoice.auto

    @Option(help: "The largest packet in the tunnel; longer TCP and UDP is cut.")
    var mtu = 1500

    @Option(
        name: .customLong("drain-ms"),
        help: "Packets that come within so many milliseconds wait for the gateway together.")
    var drain = 1.0

    @Option(help: "The rate of the link that History is estimated for; it does nothing above 100mbit.")
    var rate = RateChoice.usual

    @Option(
        name: .customLong("round-trip-ms"), help: "How long the way there and back takes on that link, in milliseconds."
    )
    var roundTrip = 40.0

    @Option(help: "As CompressionSkip: what is never compressed, in place of the default.")
    var skip: SelectorList?

    @Option(help: "As CompressionOnly: what alone is compressed.")
    var only: SelectorList?

    @Flag(name: .customLong("ipv6"), help: "The tunnel goes over IPv6: 20 bytes more for each datagram.")
    var isOverIPv6 = false

    @Flag(help: "One line of JSON.")
    var json = false

    func validate() throws {
        guard (576...65535).contains(mtu) else { throw ValidationError("--mtu takes 576 to 65535") }
        guard (0...1000).contains(drain) else { throw ValidationError("--drain-ms takes 0 to 1000") }
        guard (0...2000).contains(roundTrip) else { throw ValidationError("--round-trip-ms takes 0 to 2000") }
    }

    func perform() throws(Failure) {
        let policy = CompressionPolicy(compression.mode, skip: skip?.rules, only: only?.rules)
        var estimation = try Estimation(
            Estimation.Options(
                policy, mtu: mtu, drain: Interval(nanoseconds: Int64(drain * 1e6)), outerHeaders: isOverIPv6 ? 48 : 28,
                rate: rate.bitsPerSecond, roundTrip: Interval(nanoseconds: Int64(roundTrip * 1e6))))
        var frames: UInt64 = 0
        var leftOut = EstimateReport.LeftOut()
        let isTruncated = try CaptureInput.forEachFrame(of: capture) { frame throws(Failure) in
            frames += 1
            switch frame.content {
            case .packet(let packet): leftOut.count(try estimation.add(packet, at: frame.time))
            case .notIP: leftOut.notIP += 1
            case .cut: leftOut.cut += 1
            case .unknownLink: leftOut.unknownLink += 1
            }
        }
        var report = try estimation.finish()
        report.frames = frames
        report.leftOut = leftOut
        report.isTruncated = isTruncated
        report.compression = compression.name
        report.mtu = mtu
        try write(report)
    }

    private func write(_ report: EstimateReport) throws(Failure) {
        let name = Diagnostic.printable(capture)
        guard report.total.packets > 0 else {
            let counts = report.leftOut
            let reason =
                switch (counts.unknownLink > 0, counts.cut > 0) {
                case (true, _): "its link type is none that is known; capture on Ethernet, or with tcpdump -i any"
                case (_, true): "all are cut; capture with tcpdump -s 0"
                default: "it has no IP packet that a tunnel would carry"
                }
            throw Failure(.data, "nothing to estimate in \(name) with \(report.frames) frames: \(reason)")
        }
        if report.isTruncated { Terminal.complain("\(name) ends inside a frame: read up to there") }
        guard json else { return Terminal.write(EstimateText.render(report, ink: Terminal.ink)) }
        do throws(JSON.Malformed) {
            Terminal.write(try JSON.encode(report) + [UInt8(ascii: "\n")])
        } catch {
            throw Failure(.software, "the estimate is \(error)")
        }
    }
}

extension EstimateReport.LeftOut {
    fileprivate mutating func count(_ admission: Estimation.Admission) {
        switch admission {
        case .taken: break
        case .notIP: notIP += 1
        case .local: local += 1
        case .tooLong: tooLong += 1
        }
    }
}

/// A capture as a command reads it.
enum CaptureInput {
    /// Hands each frame to `body`; whether the capture ended inside one.
    static func forEachFrame(
        of path: String, _ body: (CapturedFrame) throws(Failure) -> Void
    ) throws(Failure) -> Bool {
        var reader = try reporting(path) { () throws(CaptureFailure) in try CaptureReader(path: path) }
        while let frame = try reporting(path, { () throws(CaptureFailure) in try reader.next() }) { try body(frame) }
        return reader.isTruncated
    }

    private static func reporting<Result>(
        _ path: String, _ body: () throws(CaptureFailure) -> Result
    ) throws(Failure) -> Result {
        do throws(CaptureFailure) {
            return try body()
        } catch {
            switch error {
            case .system(let code): throw Failure(FileFailure("read", path: path, code: code))
            case .malformed(let offset, let reason):
                throw Failure(.data, "can't read \(Diagnostic.printable(path)) from byte \(offset) on: \(reason)")
            }
        }
    }
}
