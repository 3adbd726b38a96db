import Addresses
import Glibc
import Keys

extension UAPIChange {
    /// One line of a `set=1`; `nil` if it is right and changes nothing. `ofPeer`: whether a peer was named before.
    ///
    /// A secret is read where it stands: no copy of its text is left that nobody would wipe.
    static func parse(_ line: some Collection<UInt8>, ofPeer: Bool) throws(UAPIError) -> UAPIChange? {
        if let digits = value(of: "private_key=", in: line) {
            guard !ofPeer else { throw .invalid }
            let key = PrivateKey(hex: digits)
            guard key != nil || isZeros(digits) else { throw .invalid }
            return .privateKey(key)
        }
        if let digits = value(of: "preshared_key=", in: line) {
            guard ofPeer else { throw .invalid }
            let key = PresharedKey(hex: digits)
            guard key != nil || isZeros(digits) else { throw .invalid }
            return .presharedKey(key)
        }
        return try parse(text: String(decoding: line, as: UTF8.self), ofPeer: ofPeer)
    }

    private static func value<Line: Collection<UInt8>>(of key: String, in line: Line) -> Line.SubSequence? {
        line.starts(with: key.utf8) ? line.dropFirst(key.utf8.count) : nil
    }

    private static func parse(text line: String, ofPeer: Bool) throws(UAPIError) -> UAPIChange? {
        guard let equals = line.utf8.firstIndex(of: UInt8(ascii: "=")) else { throw .protocolViolated }
        let key = line[..<equals]
        let value = line[line.utf8.index(after: equals)...]
        if key == "public_key" {
            guard let key = PublicKey(hex: value) else { throw .invalid }
            return .peer(key)
        }
        return ofPeer ? try parsePeer(key, value) : try parseInterface(key, value)
    }

    private static func parseInterface(_ key: Substring, _ value: Substring) throws(UAPIError) -> UAPIChange {
        switch key {
        case "listen_port": return .listenPort(try number(value))
        case "fwmark": return .fwmark(try number(value))
        case "replace_peers":
            try expectTrue(value)
            return .replacePeers
        default: throw .invalid
        }
    }

    private static func parsePeer(_ key: Substring, _ value: Substring) throws(UAPIError) -> UAPIChange? {
        switch key {
        case "update_only":
            try expectTrue(value)
            return .updateOnly
        case "remove":
            try expectTrue(value)
            return .remove
        case "endpoint": return .endpoint(try endpoint(value))
        case "persistent_keepalive_interval": return .persistentKeepalive(try number(value))
        case "replace_allowed_ips":
            try expectTrue(value)
            return .replaceAllowedIPs
        case "allowed_ip":
            return value.utf8.first == UInt8(ascii: "-")
                ? .disallow(try prefix(value.dropFirst())) : .allow(try prefix(value))
        case "protocol_version":
            guard value == "1" else { throw .invalid }
            return nil
        case "gateway_compression":
            guard let compression = Configuration.Compression(rawValue: String(value)) else { throw .invalid }
            return .compression(compression)
        case "gateway_cipher":
            guard let cipher = Configuration.Cipher(rawValue: String(value)) else { throw .invalid }
            return .cipher(cipher)
        default: throw .invalid
        }
    }

    private static func expectTrue(_ value: Substring) throws(UAPIError) {
        guard value == "true" else { throw .invalid }
    }

    /// Decimal digits alone; `UInt16` would take a sign.
    private static func number<Number: FixedWidthInteger>(_ value: Substring) throws(UAPIError) -> Number {
        guard let first = value.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-"),
            let number = Number(value)
        else { throw .invalid }
        return number
    }

    /// An address with its length: a bare one is not enough here.
    private static func prefix(_ value: Substring) throws(UAPIError) -> Prefix {
        guard let slash = value.utf8.firstIndex(of: UInt8(ascii: "/")),
            value.utf8.index(after: slash) < value.utf8.endIndex, let prefix = Prefix(value)
        else { throw .invalid }
        return prefix
    }

    /// `ip:port`, `[v6]:port`, `[v6%zone]:port`; the zone may be an interface's name or its index.
    private static func endpoint(_ value: Substring) throws(UAPIError) -> Endpoint {
        if let endpoint = Endpoint(value) { return endpoint }
        guard let percent = value.firstIndex(of: "%"), let bracket = value.lastIndex(of: "]"), percent < bracket else {
            throw .invalid
        }
        let name = value[value.index(after: percent)..<bracket]
        guard let scope = interfaceIndex(of: name), var endpoint = Endpoint(value[..<percent] + value[bracket...]),
            !endpoint.address.isV4
        else {
            throw .invalid
        }
        endpoint.scope = scope
        return endpoint
    }

    /// The number of an interface, as `if_nametoindex` finds it, but by a kind of socket that a gateway has anyway.
    private static func interfaceIndex(of name: Substring) -> UInt32? {
        // A `struct ifreq`: 16 bytes of name, and what is asked for.
        var request = InlineArray<40, UInt8>(repeating: 0)
        guard name.utf8.count < 16 else { return nil }
        for (index, byte) in name.utf8.enumerated() { request[index] = byte }
        let file = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let question: UInt = 0x8933  // SIOCGIFINDEX
        guard unsafe ioctl(file, question, &request) == 0 else { return nil }
        return (16..<20).reversed().reduce(0) { $0 << 8 | UInt32(request[$1]) }
    }

    /// Whether a key is all zeros, which stands for none.
    private static func isZeros(_ digits: some Collection<UInt8>) -> Bool {
        digits.count == 64 && digits.allSatisfy { $0 == UInt8(ascii: "0") }
    }
}
