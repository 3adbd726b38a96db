import Addresses
import Keys

extension ConfigurationParser {
    /// Types the `[Interface]` section; `nil` if something that it can't do without is missing.
    mutating func readInterface(name: String) -> Configuration.Interface? {
        let interfaceName = InterfaceName(name)
        if interfaceName == nil {
            report(
                .error, line: nil, text: name, "file name makes no interface name",
                cure: "rename it to 1 to 15 of the characters a-z A-Z 0-9 _ = + . - and .conf")
        }
        guard let section = interfaceSection else {
            report(.error, line: nil, "no section [Interface]", cure: "add one with this end's PrivateKey")
            return nil
        }
        let source = readPrivateKeySource(section)
        guard let interfaceName, let source else {
            // The rest is still checked, with stand-ins that go nowhere.
            guard let stem = InterfaceName("unnamed") else { return nil }
            var standIn = Configuration.Interface(name: stem, privateKey: .file(""))
            for entry in section.entries { apply(entry, to: &standIn) }
            return nil
        }
        var interface = Configuration.Interface(name: interfaceName, privateKey: source)
        for entry in section.entries { apply(entry, to: &interface) }
        return interface
    }

    private mutating func readPrivateKeySource(_ section: Section) -> Configuration.PrivateKeySource? {
        let inline = section.first(.privateKey)
        let inFile = section.first(.privateKeyFile)
        if let inline, let inFile {
            let (first, second) = inline.line < inFile.line ? (inline, inFile) : (inFile, inline)
            report(
                .error, line: second.line, text: second.key.rawValue, "two private keys",
                cure: "line \(first.line) has \(first.key.rawValue); remove one of them")
        }
        if let inline {
            let key = value(inline.line) { () throws(Rejection) in
                try ConfigurationValue.privateKey(inline.value)
            }
            if let key, !key.isSpelt(inline.value.withoutWhitespace) {
                let (message, cure) = Configuration.unclampedKey
                report(.warning, line: inline.line, message, cure: cure)
            }
            return key.map { .inline($0) }
        }
        if let inFile {
            guard !inFile.value.isEmpty else {
                report(
                    .error, line: inFile.line, text: "", "PrivateKeyFile is no path",
                    cure: "write the path of a file that holds the key")
                return nil
            }
            return .file(inFile.value)
        }
        report(
            .error, line: section.line, "no private key",
            cure: "add PrivateKey = (gatewayctl genkey makes one) or PrivateKeyFile = path")
        return nil
    }

    private mutating func apply(_ entry: Entry, to interface: inout Configuration.Interface) {
        let text = entry.value
        switch entry.key {
        case .listenPort:
            let port = value(entry.line) { () throws(Rejection) in try ConfigurationValue.port(text) }
            interface.listenPort = port ?? interface.listenPort
        case .fwmark:
            let mark = value(entry.line) { () throws(Rejection) in try ConfigurationValue.fwmark(text) }
            interface.fwmark = mark ?? interface.fwmark
        case .address:
            let addresses = value(entry.line) { () throws(Rejection) in try ConfigurationValue.addresses(text) }
            interface.addresses += addresses ?? []
        case .dns:
            let dns = value(entry.line) { () throws(Rejection) in try ConfigurationValue.dns(text) }
            interface.dnsServers += dns?.servers ?? []
            interface.dnsSearch += dns?.search ?? []
        case .mtu:
            interface.mtu = value(entry.line) { () throws(Rejection) in try ConfigurationValue.mtu(text) }
        case .table:
            let table = value(entry.line) { () throws(Rejection) in try ConfigurationValue.table(text) }
            interface.table = table ?? interface.table
        case .preUp: interface.preUp.append(text)
        case .postUp: interface.postUp.append(text)
        case .preDown: interface.preDown.append(text)
        case .postDown: interface.postDown.append(text)
        case .saveConfig:
            let saves = value(entry.line) { () throws(Rejection) in
                try ConfigurationValue.bool(text, of: .saveConfig)
            }
            interface.savesConfiguration = saves ?? false
        case .mode:
            let mode: Configuration.Mode? = value(entry.line) { () throws(Rejection) in
                try ConfigurationValue.choice(text, of: .mode)
            }
            interface.mode = mode ?? interface.mode
        case .bridge:
            interface.bridge = value(entry.line) { () throws(Rejection) in try ConfigurationValue.bridge(text) }
        case .hub:
            let isHub = value(entry.line) { () throws(Rejection) in try ConfigurationValue.onOff(text, of: .hub) }
            interface.isHub = isHub ?? false
        case .arpProxy:
            let answers = value(entry.line) { () throws(Rejection) in
                try ConfigurationValue.onOff(text, of: .arpProxy)
            }
            interface.answersNeighbours = answers ?? false
        case .offload:
            let offloads = value(entry.line) { () throws(Rejection) in try ConfigurationValue.offloads(text) }
            interface.offloads = offloads ?? interface.offloads
        case .metricsListen:
            let listen = value(entry.line) { () throws(Rejection) in try ConfigurationValue.metricsListen(text) }
            interface.metricsListen = listen ?? nil
        case .rate:
            let rate = value(entry.line) { () throws(Rejection) in try ConfigurationValue.interfaceRate(text) }
            interface.rate = rate ?? nil
        case .historyMemory:
            let memory = value(entry.line) { () throws(Rejection) in try ConfigurationValue.historyMemory(text) }
            interface.historyMemory = memory ?? interface.historyMemory
        case .linkOverhead:
            let overhead = value(entry.line) { () throws(Rejection) in try ConfigurationValue.linkOverhead(text) }
            interface.linkOverhead = overhead ?? interface.linkOverhead
        case .clampMSS:
            let clamp = value(entry.line) { () throws(Rejection) in try ConfigurationValue.clampMSS(text) }
            interface.clampMSS = clamp ?? interface.clampMSS
        default: break  // the private key is read before; what isn't built yet has no place here
        }
    }
}
