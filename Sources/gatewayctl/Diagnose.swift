import ArgumentParser
import CTun
import Control
import Glibc

/// `gatewayctl diagnose`: why packets do not get through, or worse than they could.
struct Diagnose: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says why packets do not get through: checks step by step, with evidence and cure.",
        discussion: """
            As root it asks the peers for an answer, looks at routes, settings and firewall where the daemon runs, and has \
            nftables tell for a second what becomes of packets of the tunnel. It changes nothing that stays. Ends with 0 if \
            nothing is wrong, with 2 if there are warnings, with 1 if a step fails.
            """)

    @Argument(help: "The interface; may be left out if only one runs.")
    var name: InterfaceName?

    @Argument(help: "A peer, by name or public key; all if left out.", completion: .peers)
    var peer: String?

    @Flag(help: "One line of JSON.")
    var json = false

    private static let failed: Int32 = 1
    private static let warned: Int32 = 2

    func run() throws {
        let diagnosis: Diagnosis
        do throws(Failure) {
            diagnosis = try diagnose()
            try show(diagnosis)
        } catch {
            Terminal.complain(error.message)
            throw ExitCode(error.status.rawValue)
        }
        switch diagnosis.status {
        case .fails: throw ExitCode(Self.failed)
        case .warning: throw ExitCode(Self.warned)
        case .ok, .note: break
        }
    }

    func perform() throws(Failure) {}

    private func diagnose() throws(Failure) -> Diagnosis {
        let (client, peer) = try subject()
        do throws(ControlError) {
            let daemon = try client.serverProcess()
            let entered = geteuid() == 0 ? NetworkNamespace.enter(of: daemon) : nil
            var pings: [String: PingReply] = [:]
            if geteuid() == 0 { pings = try ping(client, peer) }
            let facts = try client.diagnosis()
            var probe = HostProbe(facts, peer, daemon: geteuid() == 0 ? daemon : nil)
            var host = probe.look(pings)
            if let entered { host.unseen.append(entered) }
            return Diagnosis(facts, host: host, peer: peer)
        } catch {
            switch error {
            case .notRunning, .timeout, .permission: return .withoutDaemon("\(client.interface)", error)
            default: throw Failure(error)
            }
        }
    }

    /// Whom it is about: one word alone may be a peer of the only gateway that runs.
    private func subject() throws(Failure) -> (ControlClient, peer: String?) {
        let running = RunDirectory.current.running()
        if let name, peer == nil, !running.contains(name), let only = running.first, running.count == 1,
            (try? ControlClient(interface: only).statistics())?.peers.contains(where: { $0.name == "\(name)" }) == true
        {
            return (ControlClient(interface: only), "\(name)")
        }
        return (try RunningGateway.client(name), peer)
    }

    /// Has each peer asked, of very many the first.
    private func ping(_ client: ControlClient, _ peer: String?) throws(ControlError) -> [String: PingReply] {
        var replies: [String: PingReply] = [:]
        let peers = try client.statistics().peers.filter { peer == nil || $0.name == peer || $0.publicKey == peer }
        for one in peers.prefix(8) {
            do throws(ControlError) {
                replies[one.publicKey] = try client.ping(one.publicKey)
            } catch {
                // An older daemon does not know how.
                guard case .refused = error else { throw error }
            }
        }
        return replies
    }

    private func show(_ diagnosis: Diagnosis) throws(Failure) {
        guard json else { return Terminal.write(DiagnosisText.render(diagnosis, ink: Terminal.ink)) }
        do throws(JSON.Malformed) {
            Terminal.write(try JSON.encode(diagnosis) + [UInt8(ascii: "\n")])
        } catch {
            throw Failure(.software, "the diagnosis is \(error)")
        }
    }
}

/// The network namespace that a daemon lives in.
enum NetworkNamespace {
    /// Goes over to it; why not, if that can't be.
    static func enter(of process: pid_t) -> String? {
        let result = unsafe ctun_enter_network("/proc/\(process)/ns/net")
        return result == 0 ? nil : "the daemon's network namespace: error \(-result)"
    }
}
