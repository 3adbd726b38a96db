import Addresses
import Control
import Glibc

/// Looks at the machine for a diagnosis: routes, settings, firewall, pings. In the network namespace of the daemon.
struct HostProbe {
    private let facts: DiagnosisFacts
    private let peers: [PeerStatistics]
    private let daemon: pid_t?
    private var found = HostFacts()

    init(_ facts: DiagnosisFacts, _ peer: String?, daemon: pid_t?) {
        self.facts = facts
        peers = facts.statistics.peers.filter { peer == nil || $0.name == peer || $0.publicKey == peer }
        self.daemon = daemon
    }

    private var interface: String { facts.statistics.interface }
    private var isRoot: Bool { geteuid() == 0 }

    /// Everything. `pings` are what the daemon said when it was to ask the peers.
    mutating func look(_ pings: [String: PingReply]) -> HostFacts {
        found.pings = pings
        lookAtInterfaces()
        guard found.exists else { return found }
        lookAtRoutes()
        found.forwardsV4 = Self.setting("net/ipv4/ip_forward").map { $0 != 0 }
        found.forwardsV6 = Self.setting("net/ipv6/conf/all/forwarding").map { $0 != 0 }
        found.strict = strictInterfaces()
        let before = (
            Self.counter("snmp", "Ip", "InAddrErrors"), Self.counter("netstat", "TcpExt", "IPReversePathFilter")
        )
        let timesBefore = threadTimes()
        let began = ContinuousClock.now
        watchFirewall()
        let after = (
            Self.counter("snmp", "Ip", "InAddrErrors"), Self.counter("netstat", "TcpExt", "IPReversePathFilter")
        )
        found.unforwarded = after.0 - min(before.0, after.0)
        found.reversePathDrops = after.1 - min(before.1, after.1)
        if let timesBefore, let timesAfter = threadTimes() {
            let elapsed = began.duration(to: .now).components
            let seconds = max(Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18, 0.001)
            found.load = max(timesAfter.ran - timesBefore.ran, 0) / seconds
            found.waits = max(timesAfter.waited - timesBefore.waited, 0) / seconds
        }
        return found
    }

    // MARK: Interfaces

    private mutating func lookAtInterfaces() {
        guard let output = HostCommand.run(["ip", "-j", "address", "show"]), output.status == 0,
            let links = try? JSON.decode([Link].self, from: Array(output.text.utf8))
        else {
            found.unseen.append("addresses and routes: there is no ip(8) here, the package iproute2 has it")
            found.isUp = true
            found.addresses = facts.addresses.map { String($0.prefix { $0 != "/" }) }
            return
        }
        let own = links.first { $0.ifname == interface }
        found.exists = own != nil
        found.isUp = own?.flags.contains("UP") ?? false
        found.addresses = own?.addr_info.compactMap(\.local) ?? []
        found.networks = links.filter {
            $0.ifname != interface && !$0.flags.contains("LOOPBACK") && !$0.addr_info.isEmpty
        }
        .map(\.ifname)
    }

    private struct Link: Decodable {
        let ifname: String
        let flags: [String]
        let addr_info: [Address]

        struct Address: Decodable {
            let local: String?
        }
    }

    // MARK: Routes

    private mutating func lookAtRoutes() {
        for peer in peers {
            // A sample: who has thousands of networks has them all in one way or another.
            for text in peer.allowedIPs.prefix(16) {
                guard let prefix = Prefix(text) else { continue }
                found.routes[text] = route(to: prefix.sample)
            }
            if let text = peer.endpoint, let endpoint = Endpoint(text) {
                let mark = facts.statistics.fwmark
                found.wayOut[text] = route(to: endpoint.address, mark == 0 ? [] : ["mark", "\(mark)"])
            }
        }
    }

    private func route(to address: IPAddress, _ further: [String] = []) -> HostFacts.Route? {
        let family = address.isV4 ? "-4" : "-6"
        guard let output = HostCommand.run(["ip", family, "-o", "route", "get", "\(address)"] + further) else {
            return nil
        }
        let text = output.text.split { $0.isWhitespace || $0 == "\\" }.joined(separator: " ")
        guard output.status == 0 else { return HostFacts.Route(device: nil, text: text) }
        let words = text.split(separator: " ")
        let device = words.firstIndex(of: "dev").flatMap {
            words.indices.contains($0 + 1) ? String(words[$0 + 1]) : nil
        }
        return HostFacts.Route(device: device, text: text)
    }

    // MARK: Settings and counters

    private static func setting(_ path: String) -> Int? {
        guard let text = try? TextFile.read("/proc/sys/\(path)") else { return nil }
        return Int(text.split { $0.isWhitespace }.joined())
    }

    private func strictInterfaces() -> [String] {
        let all = Self.setting("net/ipv4/conf/all/rp_filter") ?? 0
        return ([interface] + found.networks).filter { name in
            max(all, Self.setting("net/ipv4/conf/\(name)/rp_filter") ?? 0) == 1
        }
    }

    /// A counter of `/proc/net`: a line of names and a line of values, which begin with the same word.
    private static func counter(_ file: String, _ group: String, _ name: String) -> UInt64 {
        guard let text = try? TextFile.read("/proc/thread-self/net/\(file)") else { return 0 }
        let lines = text.split(separator: "\n").filter { $0.hasPrefix("\(group):") }.map { $0.split(separator: " ") }
        guard lines.count == 2, let place = lines[0].firstIndex(of: Substring(name)), lines[1].indices.contains(place)
        else {
            return 0
        }
        return UInt64(lines[1][place]) ?? 0
    }

    /// The seconds for which the daemon's data thread, which is its first, has had a processor, and those for which it was ready and
    /// waited for one (schedstat of proc(5): two numbers of nanoseconds).
    private func threadTimes() -> (ran: Double, waited: Double)? {
        guard let daemon, let text = try? TextFile.read("/proc/\(daemon)/task/\(daemon)/schedstat") else { return nil }
        let fields = text.split { $0.isWhitespace }
        guard fields.count > 1, let ran = Double(fields[0]), let waited = Double(fields[1]) else { return nil }
        return (ran / 1e9, waited / 1e9)
    }

    // MARK: Firewall and pings

    /// Looks for a second at what becomes of packets of the tunnel, while the peers are pinged.
    private mutating func watchFirewall() {
        guard isRoot, HostCommand.run(["nft", "list", "tables"])?.status == 0 else {
            if isRoot {
                found.unseen.append("nftables: there is no nft(8) here")
            } else {
                found.unseen.append("firewall and pings: that takes root")
            }
            return pingPeers()
        }
        found.firewallPolicies = policies()
        let table = "gatewayctl-\(getpid())"
        defer { _ = HostCommand.run(["nft", "delete", "table", "inet", table]) }
        guard HostCommand.run(["nft", tracing(table)])?.status == 0,
            let monitor = HostCommand.start(["nft", "monitor", "trace"])
        else { return pingPeers() }
        usleep(200_000)
        pingPeers()
        found.firewallDrops = Self.drops(in: monitor.finish(seconds: 1).text, but: table)
    }

    /// Marks some of the tunnel's packets, inside and outside, as ones whose way is told.
    private func tracing(_ table: String) -> String {
        let port = facts.statistics.listenPort
        let limit = "limit rate 50/second burst 50 packets meta nftrace set 1"
        return """
            add table inet \(table)
            add chain inet \(table) in { type filter hook prerouting priority -400; policy accept; }
            add chain inet \(table) out { type filter hook output priority -400; policy accept; }
            add rule inet \(table) in iifname "\(interface)" \(limit)
            add rule inet \(table) in udp dport \(port) \(limit)
            add rule inet \(table) out oifname "\(interface)" \(limit)
            add rule inet \(table) out udp sport \(port) \(limit)
            \(peers.flatMap(\.allowedIPs).prefix(64).compactMap { Prefix($0) }.filter { $0.length > 0 }.map { prefix in
                "add rule inet \(table) in \(prefix.address.isV4 ? "ip" : "ip6") daddr \(prefix) \(limit)"
            }.joined(separator: "\n"))
            """
    }

    /// What dropped a packet, each once: `inet filter forward: rule iifname "hq" drop`.
    private static func drops(in trace: String, but table: String) -> [String] {
        var found: [String] = []
        for line in trace.split(separator: "\n") {
            let words = line.split(separator: " ")
            // trace id 870fe6ea inet t f rule … (verdict drop), or: policy drop
            guard words.count > 6, words[0] == "trace", words[4] != Substring(table) else { continue }
            guard line.hasSuffix("(verdict drop)") || line.hasSuffix("policy drop ") || line.hasSuffix("policy drop")
            else { continue }
            let place = "\(words[3]) \(words[4]) \(words[5])"
            let what = "\(place): \(words[6...].joined(separator: " "))"
            if !found.contains(what) { found.append(what) }
        }
        return Array(found.prefix(8))
    }

    /// Chains that drop what none of their rules takes.
    private func policies() -> [String] {
        guard let output = HostCommand.run(["nft", "list", "chains"]) else { return [] }
        var found: [String] = []
        var table = ""
        var chain = ""
        for line in output.text.split(separator: "\n").map({ $0.drop { $0.isWhitespace } }) {
            let words = line.split(separator: " ")
            if words.first == "table", words.count > 2 { table = "\(words[1]) \(words[2])" }
            if words.first == "chain", words.count > 1 { chain = String(words[1]) }
            if line.contains("policy drop"),
                ["input", "forward", "output"].contains(where: { line.contains("hook \($0) ") })
            {
                found.append("\(table) \(chain): \(line)")
            }
        }
        return found
    }

    private mutating func pingPeers() {
        guard isRoot, facts.mode == "tun" else { return }
        for peer in peers.prefix(8) where found.pings[peer.publicKey]?.session == true {
            guard let target = peer.hostRoute else { continue }
            guard let isAnswered = InnerPing.once(target, size: 56) else {
                if !found.unseen.contains(where: { $0.hasPrefix("pings") }) {
                    found.unseen.append("pings inside: there is no ping(8) here, the package iputils-ping has it")
                }
                return
            }
            var ping = HostFacts.InnerPing(target: "\(target)", isAnswered: isAnswered)
            if isAnswered { ping.largest = InnerPing.largest(target, mtu: facts.mtu) }
            found.innerPings[peer.publicKey] = ping
        }
    }
}

/// Pings through the tunnel.
enum InnerPing {
    /// Whether one of this many bytes of data comes back within a second; `nil` if there is no ping(8).
    static func once(_ target: IPAddress, size: Int) -> Bool? {
        HostCommand.run(
            ["ping", "-n", "-q", "-c", "1", "-W", "1", "-M", "do", "-s", "\(size)", "\(target)"], seconds: 3
        ).map { $0.status == 0 }
    }

    /// The largest packet that comes back; `nil` if one of the MTU's size does.
    static func largest(_ target: IPAddress, mtu: Int) -> Int? {
        let headers = target.isV4 ? 28 : 48
        func passes(_ size: Int) -> Bool {
            // Of two one may be lost by chance.
            once(target, size: size - headers) == true || once(target, size: size - headers) == true
        }
        guard !passes(mtu) else { return nil }
        var (low, high) = (headers + 56, mtu)
        while high - low > 1 {
            let middle = (low + high) / 2
            if passes(middle) { low = middle } else { high = middle }
        }
        return low
    }
}

extension PeerStatistics {
    /// An address that is the peer's alone.
    var hostRoute: IPAddress? {
        allowedIPs.compactMap { Prefix($0) }.first { $0.length == $0.address.width }?.address
    }
}

extension Prefix {
    /// An address in it that a host may have.
    var sample: IPAddress {
        guard length < address.width else { return address }
        // Within a default route something that is no network of this machine.
        if length == 0 { return address.isV4 ? .v4(0x0100_0001) : .v6(UInt128(0x2001_0200) << 96 | 1) }
        return switch address {
        case .v4(let bits): .v4(bits | 1)
        case .v6(let bits): .v6(bits | 1)
        }
    }
}
