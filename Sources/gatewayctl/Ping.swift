import Addresses
import ArgumentParser
import Control
import Glibc

/// `gatewayctl ping`: how long the way to a peer and back takes.
struct Ping: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract: "Asks a peer how long the way there and back takes.",
        discussion: """
            A gateway is asked by a record between the two gateways: it needs no address inside, and no firewall or host \
            behind it has a part in it. Any other peer is asked by ICMP, at an address that is its alone (/32, /128 in its \
            AllowedIPs) or at --address. Ends with 1 if no answer comes. Takes root.
            """)

    @Argument(help: "The interface.")
    var name: InterfaceName
    @Argument(help: "The peer, by name or public key.", completion: .peers)
    var peer: String

    @Option(name: .shortAndLong, help: "How often.")
    var count = 4
    @Option(help: "An address behind the peer, which is asked by ICMP.")
    var address: String?
    @Flag(help: "A line of JSON for each.")
    var json = false

    func run() throws {
        let isAnswered: Bool
        do throws(Failure) {
            isAnswered = try ask()
        } catch {
            Terminal.complain(error.message)
            throw ExitCode(error.status.rawValue)
        }
        if !isAnswered { throw ExitCode(1) }
    }

    func perform() throws(Failure) {}

    /// One answer, as JSON.
    private struct Answer: Encodable {
        let peer: String
        let number: Int
        let by: String
        let microseconds: UInt64?
    }

    private func ask() throws(Failure) -> Bool {
        guard (1...1_000_000).contains(count) else { throw Failure(.usage, "--count takes 1 to 1000000") }
        let client = ControlClient(interface: name)
        var answers = 0
        for number in 1...count {
            if number > 1 { sleep(1) }
            let reply = try reporting { () throws(ControlError) in try client.ping(peer) }
            guard reply.session else {
                tell(number, "record", nil, "no session: gatewayctl diagnose \(name) \(peer) says why")
                continue
            }
            let (by, microseconds) =
                address == nil && reply.gateway == true
                ? ("record", reply.microseconds) : ("icmp", try inside(client))
            if microseconds != nil { answers += 1 }
            tell(number, by, microseconds, "no answer")
        }
        if !json { Terminal.write("\(peer): \(answers) of \(count) answered\n") }
        return answers > 0
    }

    private func tell(_ number: Int, _ by: String, _ microseconds: UInt64?, _ failure: String) {
        if json {
            let answer = Answer(peer: peer, number: number, by: by, microseconds: microseconds)
            if let line = try? JSON.encode(answer) { Terminal.write(line + [UInt8(ascii: "\n")]) }
        } else {
            let trip = microseconds.map { "\(Quantities.roundTrip(microseconds: $0)) by \(by)" } ?? failure
            Terminal.write("\(peer) \(number): \(trip)\n")
        }
    }

    /// By ICMP, through the tunnel.
    private func inside(_ client: ControlClient) throws(Failure) -> UInt64? {
        let peers = try reporting { () throws(ControlError) in try client.statistics().peers }
        let found = peers.first { $0.name == peer || $0.publicKey == peer }
        guard let target = address.flatMap({ IPAddress($0) }) ?? found?.hostRoute else {
            throw Failure(
                .usage, "\(peer) has no address of its own (/32, /128) in AllowedIPs: name one with --address")
        }
        if geteuid() == 0, let process = try? client.serverProcess() { _ = NetworkNamespace.enter(of: process) }
        guard let output = HostCommand.run(["ping", "-n", "-c", "1", "-W", "2", "\(target)"]) else {
            throw Failure(.unavailable, "there is no ping(8) here; the package iputils-ping has it")
        }
        guard output.status == 0, let start = output.text.firstRange(of: "time=") else { return nil }
        let digits = output.text[start.upperBound...].prefix { $0.isNumber || $0 == "." }
        return Double(digits).map { UInt64($0 * 1000) }
    }
}
