import Addresses
import Keys

/// Why a value is refused. `text` is the part that is wrong; `nil` where it may be a secret.
struct Rejection: Error {
    let text: String?
    let message: String
    let cure: String
}

/// The values of single keys, from text. Each function refuses with what is wrong and what to write instead.
enum ConfigurationValue {
    static func port(_ text: String) throws(Rejection) -> UInt16 {
        guard let port = UInt16(decimal: text) else {
            throw Rejection(
                text: text, message: "ListenPort is no port", cure: "write 0 to 65535; 0 lets the system choose")
        }
        return port
    }

    static func fwmark(_ text: String) throws(Rejection) -> UInt32 {
        let text = text.lowercased()
        if text == "off" { return 0 }
        let isHex = text.hasPrefix("0x") && text.utf8.dropFirst(2).first != UInt8(ascii: "+")
        guard let mark = isHex ? UInt32(text.dropFirst(2), radix: 16) : UInt32(decimal: text) else {
            throw Rejection(
                text: text, message: "FwMark is no mark", cure: "write off, a number, or 0x and hexadecimal digits")
        }
        return mark
    }

    static func mtu(_ text: String) throws(Rejection) -> Int {
        guard let mtu = Int(decimal: text) else {
            throw Rejection(text: text, message: "MTU is no number", cure: "write 576 to 65535, or remove the line")
        }
        guard mtu >= 576 else {
            throw Rejection(
                text: text, message: "MTU is too small",
                cure: "write at least 576, what every IPv4 host accepts (RFC 791); IPv6 needs 1280")
        }
        guard mtu <= 65535 else {
            throw Rejection(
                text: text, message: "MTU is too large", cure: "write at most 65535, the largest IP packet")
        }
        return mtu
    }

    static func rate(_ text: String, of key: ConfigurationKey) throws(Rejection) -> LinkRate? {
        if text.lowercased() == "off" { return nil }
        guard let rate = LinkRate(text) else {
            throw Rejection(
                text: text, message: "\(key.rawValue) is no rate that can be kept",
                cure: "write 64kbit to 1gbit, such as 20mbit or 2.5mbit, or off")
        }
        return rate
    }

    /// Memory in MB.
    static func historyMemory(_ text: String) throws(Rejection) -> Int {
        let digits = text.uppercased().hasSuffix("M") ? String(text.dropLast()) : text
        guard let memory = Int(decimal: digits), (0...4096).contains(memory), memory == 0 || digits.count < text.count
        else {
            throw Rejection(
                text: text, message: "HistoryMemory is no amount of memory", cure: "write 0 to 4096M, such as 64M")
        }
        return memory
    }

    static func parity(_ text: String) throws(Rejection) -> Configuration.Parity {
        switch text.lowercased() {
        case "auto": return .auto
        case "off": return .off
        default:
            guard text.hasSuffix("%"), let percent = Int(decimal: String(text.dropLast())),
                Configuration.Parity.percents.contains(percent)
            else {
                throw Rejection(
                    text: text, message: "Parity is no part of the data that can be sent beside it",
                    cure: "write auto, off, or 3% to 30%")
            }
            return .percent(percent)
        }
    }

    static func postQuantumRekey(_ text: String) throws(Rejection) -> Duration {
        guard let seconds = Int(decimal: text), (300...86_400).contains(seconds) else {
            throw Rejection(
                text: text, message: "PostQuantumRekey is no time between two exchanges",
                cure: "write 300 to 86400, in seconds, or remove the line (3600)")
        }
        return .seconds(seconds)
    }

    /// The rate of `[Interface]`, which is never found: peers tell of different links.
    static func interfaceRate(_ text: String) throws(Rejection) -> LinkRate? {
        guard !text.lowercased().hasPrefix("auto") else {
            throw Rejection(
                text: text, message: "Rate = auto is for a [Peer]: it is found by what that peer says of what arrives",
                cure: "move the line there, or write here the rate that all peers share, such as 20mbit")
        }
        return try rate(text, of: .rate)
    }

    static func autoRate(_ text: String) throws(Rejection) -> AutoRate {
        let bounds = text.dropFirst("auto".count).trimmed
        guard let dots = bounds.firstRange(of: ".."), !bounds.isEmpty else {
            throw Rejection(
                text: text, message: "Rate = auto has no bounds",
                cure: "write auto and what the link takes at least and at most, such as auto 2mbit..50mbit")
        }
        guard let least = LinkRate(bounds[..<dots.lowerBound].trimmed),
            let most = LinkRate(bounds[dots.upperBound...].trimmed)
        else {
            throw Rejection(
                text: text, message: "a bound of Rate = auto is no rate that can be kept",
                cure: "write 64kbit to 1gbit each, such as auto 2mbit..50mbit")
        }
        guard least.bitsPerSecond < most.bitsPerSecond else {
            throw Rejection(
                text: text, message: "the lower bound of Rate = auto is not below the upper one",
                cure: "write the lower one first, such as auto 2mbit..50mbit, or one rate without auto")
        }
        return AutoRate(least: least, most: most)
    }

    static func linkOverhead(_ text: String) throws(Rejection) -> Int {
        guard let overhead = Int(decimal: text), overhead <= 1400 else {
            throw Rejection(
                text: text, message: "LinkOverhead is no size",
                cure: "write 0 to 1400, the bytes that a datagram takes besides itself; Ethernet has 14, with a VLAN 18"
            )
        }
        return overhead
    }

    static func clampMSS(_ text: String) throws(Rejection) -> Configuration.SegmentClamp {
        switch text.lowercased() {
        case "auto": return .auto
        case "off": return .off
        default:
            guard let most = Int(decimal: text), (88...65_495).contains(most) else {
                throw Rejection(
                    text: text, message: "ClampMSS is no size",
                    cure: "write auto, off, or 88 to 65495, the most bytes of a TCP segment")
            }
            return .at(most)
        }
    }

    static func table(_ text: String) throws(Rejection) -> Configuration.RoutingTable {
        guard let table = Configuration.RoutingTable(text) else {
            throw Rejection(text: text, message: "Table is no table", cure: "write auto, off or a number from 1")
        }
        return table
    }

    static func bool(_ text: String, of key: ConfigurationKey) throws(Rejection) -> Bool {
        switch text.lowercased() {
        case "true": return true
        case "false": return false
        default:
            throw Rejection(text: text, message: "\(key.rawValue) is neither yes nor no", cure: "write true or false")
        }
    }

    static func onOff(_ text: String, of key: ConfigurationKey) throws(Rejection) -> Bool {
        switch text.lowercased() {
        case "true", "on": return true
        case "false", "off": return false
        default:
            throw Rejection(text: text, message: "\(key.rawValue) is neither on nor off", cure: "write true or false")
        }
    }

    static func bridge(_ text: String) throws(Rejection) -> InterfaceName {
        guard let name = InterfaceName(text) else {
            throw Rejection(
                text: text, message: "Bridge is no interface name",
                cure: "write the name of a bridge that is there, as in br0")
        }
        return name
    }

    /// `nil` is off.
    static func keepalive(_ text: String) throws(Rejection) -> Duration? {
        if text.lowercased() == "off" { return nil }
        guard let seconds = UInt16(decimal: text) else {
            throw Rejection(
                text: text, message: "PersistentKeepalive is no interval", cure: "write off or 1 to 65535 seconds")
        }
        return seconds == 0 ? nil : .seconds(Int(seconds))
    }

    static func endpoint(_ text: String) throws(Rejection) -> HostAndPort {
        guard let endpoint = HostAndPort(text.withoutWhitespace) else {
            throw Rejection(
                text: text, message: "Endpoint is no host and port", cure: "write host:port or [IPv6 address]:port")
        }
        return endpoint
    }

    static func metricsListen(_ text: String) throws(Rejection) -> Endpoint? {
        if text.lowercased() == "off" { return nil }
        guard let endpoint = Endpoint(text) else {
            throw Rejection(
                text: text, message: "MetricsListen is no address and port", cure: "write off or 127.0.0.1:9586")
        }
        guard endpoint.address.isLoopback, endpoint.port != 0 else {
            throw Rejection(
                text: text, message: "MetricsListen takes an address of this machine's loopback, and a port",
                cure:
                    "write 127.0.0.1:9586 or [::1]:9586; a Prometheus elsewhere comes through a proxy that knows who asks"
            )
        }
        return endpoint
    }

    static func privateKey(_ text: String) throws(Rejection) -> PrivateKey {
        guard let key = PrivateKey(base64: text.withoutWhitespace) else {
            throw Rejection(
                text: nil, message: "PrivateKey is no key",
                cure: "write 44 characters of base64, as \"gatewayctl genkey\" prints them")
        }
        return key
    }

    static func publicKey(_ text: String) throws(Rejection) -> PublicKey {
        guard let key = PublicKey(text.withoutWhitespace) else {
            throw Rejection(
                text: text, message: "PublicKey is no key",
                cure: "write 44 characters of base64, as \"gatewayctl pubkey\" prints them")
        }
        return key
    }

    /// `nil` is none, which `wg` writes as a key of zeros.
    static func presharedKey(_ text: String) throws(Rejection) -> PresharedKey? {
        let text = text.withoutWhitespace
        if let key = PresharedKey(base64: text) { return key }
        guard PublicKey(text) != nil else {
            throw Rejection(
                text: nil, message: "PresharedKey is no key",
                cure: "write 44 characters of base64, as \"gatewayctl genpsk\" prints them")
        }
        return nil
    }

    /// One of a few words, however its letters are written.
    static func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ text: String, of key: ConfigurationKey
    ) throws(Rejection) -> Choice {
        guard let choice = Choice(rawValue: text.lowercased()) else {
            let words = Choice.allCases.filter { UnbuiltFeature.asked(by: key, value: $0.rawValue) == nil }
            throw Rejection(
                text: text, message: "\(key.rawValue) has no such value",
                cure: "write \(Self.alternatives(words.map(\.rawValue)))")
        }
        return choice
    }

    static func name(_ text: String) throws(Rejection) -> String {
        guard (1...64).contains(text.count), Diagnostic.printable(text) == text else {
            throw Rejection(text: text, message: "Name is no name", cure: "write 1 to 64 printable characters")
        }
        return text
    }

    /// `a, b or c`.
    static func alternatives(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }
}
