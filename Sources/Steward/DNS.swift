import Addresses
import Control

/// The name servers of the file, handed to resolvconf(8) as wg-quick does it.
enum DNS {
    static func setting(_ interface: Configuration.Interface) -> [String] {
        guard !interface.dnsServers.isEmpty || !interface.dnsSearch.isEmpty else { return [] }
        var lines = interface.dnsServers.map { "nameserver \($0)" }
        if !interface.dnsSearch.isEmpty { lines.append("search \(interface.dnsSearch.joined(separator: " "))") }
        let text = lines.map { "'\($0)'" }.joined(separator: " ")
        return ["printf '%s\\n' \(text) | resolvconf -a %i -m 0 -x"]
    }

    static func unsetting(_ interface: Configuration.Interface) -> [String] {
        setting(interface).isEmpty ? [] : ["resolvconf -d %i -f"]
    }
}
