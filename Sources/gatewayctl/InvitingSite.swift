import Addresses
import Control
import Glibc
import Keys

/// The site that others are invited to.
enum InvitingSite {
    /// The only site with a config file in a folder.
    static func only(in dir: String) -> InterfaceName? {
        guard let folder = unsafe opendir(dir) else { return nil }
        defer { unsafe closedir(folder) }
        var found: [InterfaceName] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
                unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name.hasSuffix(".conf"), let site = InterfaceName(name.dropLast(5)) { found.append(site) }
        }
        return found.count == 1 ? found[0] : nil
    }

    /// Its file and public key; a new site is made.
    static func ready(
        _ site: InterfaceName, _ dir: String, _ endpoint: HostAndPort, _ addresses: [InterfaceAddress]
    ) throws(Failure) -> (SiteFile, PublicKey) {
        let path = "\(dir)/\(site).conf"
        if let file = try SiteFile.find(path) {
            return (file, try KeyPair.of(file, try KeyPair.find(site, in: dir)).publicKey)
        }
        let found = try KeyPair.find(site, in: dir)
        let keys = found ?? .generate()
        guard let key = keys.privateKey else {
            throw Failure(.missingInput, "the private key of \(site) isn't here: invite where it is")
        }
        var interface = Configuration.Interface(name: site, privateKey: .inline(key))
        interface.listenPort = endpoint.port
        interface.addresses = addresses
        let text = Configuration(file: path, interface: interface).text(comment: [
            "The site \(site), made by gatewayctl invite. It holds secrets: keep its mode 0600."
        ])
        let keyFiles = found == nil ? keys.creation(of: site, in: dir) : []
        try reporting { () throws(FileFailure) in
            try TextFile.makePrivateFolder(dir)
            try TextFile.change(keyFiles + [.create(path, mode: 0o600, text: text)])
        }
        guard let file = try SiteFile.find(path) else { throw Failure(.missingInput, "\(path) is gone") }
        return (file, key.publicKey)
    }
}

extension InterfaceAddress {
    /// The other addresses of its network that a host may have, the first thousands.
    var others: some Sequence<IPAddress> {
        let network = prefix.address
        let last = Swift.min(1 << Swift.min(address.width - length, 16), 65_536) - 1
        return (1..<Swift.max(last, 1)).lazy.map { number in
            switch network {
            case .v4(let bits): .v4(bits + UInt32(number))
            case .v6(let bits): .v6(bits + UInt128(number))
            }
        }.filter { [address] in $0 != address }
    }
}

/// A line that somebody pastes.
enum Paste {
    /// Reads it from standard input, up to an empty line or the end: terminals break long lines.
    static func read(_ what: String) throws(Failure) -> String {
        if isatty(STDIN_FILENO) == 1 { Terminal.say("paste \(what), then press Enter:") }
        var text = ""
        while text.utf8.count < 16_384, let line = readLine() {
            if line.allSatisfy(\.isWhitespace) {
                if text.isEmpty { continue }
                break
            }
            text += line
            // Invitation and answer are short enough for what is typed at once; what is pasted comes as one line.
            if Invitation(line: text) != nil || InvitationAnswer(line: text) != nil { break }
        }
        guard !text.isEmpty else { throw Failure(.missingInput, "\(what) is missing: it comes from standard input") }
        return text
    }
}

/// The daemon, in the place of this process.
enum GatewayProcess {
    static func become(_ config: String, _ name: InterfaceName) throws(Failure) {
        guard !RunDirectory.current.running().contains(name) else { return }
        var path = [CChar](repeating: 0, count: 4096)
        let length = unsafe readlink("/proc/self/exe", &path, path.count - 1)
        let own = length > 0 ? String(decoding: path[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
        let beside = "\(TextFile.folder(of: own))/gateway"
        let program = TextFile.isFile(beside) ? beside : "gateway"
        let arguments = [program, "run", "--config", config]
        var words: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) } + [nil]
        _ = unsafe execvp(program, &words)
        throw Failure(.unavailable, "\(program) can't be started: \(unsafe String(cString: strerror(errno)))")
    }
}
