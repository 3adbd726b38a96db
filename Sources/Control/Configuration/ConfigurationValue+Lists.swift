import Addresses

extension ConfigurationValue {
    /// Items between commas; none for an empty text. White space inside an item is dropped, as `wg` does.
    static func commaList(_ text: String) -> [String] {
        if text.isEmpty { return [] }
        return text.split(separator: ",", omittingEmptySubsequences: false).map { $0.withoutWhitespace }
    }

    /// Items between commas or white space, as wg-quick reads `Address` and `DNS`.
    static func wordList(_ text: String) -> [String] {
        text.split { $0 == "," || $0.isWhitespace }.map { String($0) }
    }

    static func prefixes(_ text: String) throws(Rejection) -> [Prefix] {
        var prefixes: [Prefix] = []
        for item in commaList(text) {
            guard let prefix = Prefix(item) else {
                throw Rejection(
                    text: item, message: "AllowedIPs has an item that is no prefix",
                    cure: "write address/length, as in 10.1.0.0/16 or 2001:db8::/32")
            }
            prefixes.append(prefix)
        }
        return prefixes
    }

    static func macAddresses(_ text: String) throws(Rejection) -> [MACAddress] {
        var addresses: [MACAddress] = []
        for item in wordList(text) {
            guard let address = MACAddress(item), !address.isGroup else {
                throw Rejection(
                    text: item, message: "AllowedMACs has an item that is no station's Ethernet address",
                    cure: "write six bytes in hexadecimal, as in 52:54:00:12:34:56, the first of them even")
            }
            addresses.append(address)
        }
        return addresses
    }

    static func addresses(_ text: String) throws(Rejection) -> [InterfaceAddress] {
        var addresses: [InterfaceAddress] = []
        for item in wordList(text) {
            guard let address = InterfaceAddress(item) else {
                throw Rejection(
                    text: item, message: "Address has an item that is no address",
                    cure: "write address/length, as in 10.1.0.1/24 or 2001:db8::1/64")
            }
            addresses.append(address)
        }
        return addresses
    }

    /// Addresses are servers, names are search domains.
    static func dns(_ text: String) throws(Rejection) -> (servers: [IPAddress], search: [String]) {
        var servers: [IPAddress] = []
        var search: [String] = []
        for item in wordList(text) {
            if let server = IPAddress(item) {
                servers.append(server)
                continue
            }
            // What wg-quick takes for an address must be one.
            let isMeantAsAddress = item.contains(":") || item.allSatisfy { $0 == "." || ("0"..."9").contains($0) }
            let isName = item.utf8.count <= 253 && item.allSatisfy { $0.isLetter || $0.isNumber || "._-~".contains($0) }
            guard isName, !isMeantAsAddress else {
                throw Rejection(
                    text: item, message: "DNS has an item that is neither address nor domain",
                    cure: "write a server's address, as in 10.1.0.53, or a search domain")
            }
            search.append(item)
        }
        return (servers, search)
    }

    static func selectors(_ text: String, of key: ConfigurationKey) throws(Rejection) -> [TrafficSelector] {
        var selectors: [TrafficSelector] = []
        for item in wordList(text) {
            guard let selector = TrafficSelector(item) else {
                throw Rejection(
                    text: item, message: "\(key.rawValue) has an item that is neither port nor prefix",
                    cure: "write tcp/80, udp/53, 443, tcp/8000-8100 or 10.0.0.0/8")
            }
            selectors.append(selector)
        }
        return selectors
    }

    /// `auto` is all of them, `off` none.
    static func offloads(_ text: String) throws(Rejection) -> Set<Configuration.Offload> {
        switch text.lowercased() {
        case "auto": return Set(Configuration.Offload.allCases)
        case "off", "": return []
        default: break
        }
        var offloads: Set<Configuration.Offload> = []
        for item in wordList(text) {
            guard let offload = Configuration.Offload(rawValue: item.lowercased()) else {
                let known = Configuration.Offload.allCases.map(\.rawValue).joined(separator: " ")
                throw Rejection(
                    text: item, message: "Offload has an unknown item", cure: "write auto, off or some of \(known)")
            }
            offloads.insert(offload)
        }
        return offloads
    }
}
