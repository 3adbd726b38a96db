import ArgumentParser
import Control
import Glibc

/// `gatewayctl trace`: what becomes of each packet.
struct TraceCommand: GatewayCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract:
            "Prints a line for each packet: compressed with what, sealed with what, or why not, and why it was dropped.",
        discussion: """
            As in: trace branch, trace tcp port 443, trace branch far dropped. Words of a filter, all of which must hold: tcp, \
            udp, icmp, proto N, port N, host ADDRESS, net PREFIX, in, out, dropped, skipped, compressed. Where more passes than is \
            told, some of many are told, and dropped ones first. Packets that leave or come together have one line.
            """)

    @Argument(
        help: "The interface if several run, a peer, words of a filter; each may be left out.", completion: .peers)
    var words: [String] = []

    @Option(help: "Lines in a second, at most 10000.")
    var rate = 500
    @Option(help: "Ends after so many lines.")
    var count: Int?
    @Option(help: "Ends after so many seconds.")
    var seconds = 86_400
    @Flag(help: "A line of JSON for each.")
    var json = false

    func perform() throws(Failure) {
        let subject = try TraceSubject(words)
        var filter = subject.filter
        filter.add("rate", "\(rate)")
        filter.add("seconds", "\(seconds)")
        if let count { filter.add("count", "\(count)") }
        let (ink, isUnicode) = (Terminal.ink, FullScreen.isUnicode)
        try reporting { () throws(ControlError) in
            try subject.client.trace(filter, sample: { if !json { Terminal.complain(TraceText.sample($0)) } }) { line in
                if json {
                    if let text = try? JSON.encode(line) { Terminal.write(text + [UInt8(ascii: "\n")]) }
                } else {
                    Terminal.write(TraceText.line(line, isUnicode: isUnicode, ink: ink) + "\n")
                }
                return true
            }
        }
    }
}

/// The interface, the peer and the filter that words are: `[INTERFACE] [PEER] [FILTER…]`.
struct TraceSubject {
    let client: ControlClient
    private(set) var filter = TraceFilter()

    init(_ words: [String]) throws(Failure) {
        var words = words[...]
        let running = RunDirectory.current.running()
        if let first = words.first, let name = InterfaceName(first), running.contains(name) {
            words.removeFirst()
            client = ControlClient(interface: name)
        } else {
            client = try RunningGateway.client(nil)
        }
        if let first = words.first {
            let peers = try reporting { () throws(ControlError) in try client.statistics().peers }
            if peers.contains(where: { $0.name == first || $0.publicKey == first }) {
                words.removeFirst()
                filter.add("peer", first)
            }
        }
        if !words.isEmpty { filter.add("filter", words.joined(separator: " ")) }
    }
}
