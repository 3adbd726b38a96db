import Addresses
import Control
import Keys
import Synchronization

/// The config file of the interface and what it names: read again, and written where the daemon asks for it. Which files these
/// are, and all that is written besides keys and endpoints, comes from the file itself.
final class ConfigurationFiles: Sendable {
    /// The configuration that holds.
    private let current: Mutex<Configuration>
    /// The one that was read and does not hold yet.
    private let pending = Mutex<Configuration?>(nil)
    private let hooks: HookRunner
    /// The file before the last edit.
    private let beforeEdit = Mutex<String?>(nil)

    init(_ configuration: Configuration, _ hooks: HookRunner) {
        current = Mutex(configuration)
        self.hooks = hooks
    }

    func answer(_ request: StewardRequest) -> StewardReply {
        switch request {
        case .readConfiguration: return .files(read())
        case .adoptConfiguration:
            guard let configuration = pending.withLock({ $0 }) else { return .refused }
            current.withLock { $0 = configuration }
            hooks.adopt(configuration.interface)
            return .done
        case .setNameServers: return .hooksEnded(hooks.setNameServers(current.withLock { $0.interface }))
        case .storeKey(let key): return Self.answer { () throws(FileFailure) in try store(key) }
        case .storeNextKey(let key):
            let configuration = current.withLock { $0 }
            return Self.answer { () throws(FileFailure) in try configuration.storeNextPrivateKey(key) }
        case .saveConfiguration(let peers): return Self.answer { () throws(FileFailure) in try save(peers) }
        case .editPeer(let edit): return self.edit(edit)
        case .takeBackEdit:
            let path = current.withLock { $0.file }
            let text = beforeEdit.withLock { text in
                defer { text = nil }
                return text
            }
            return Self.answer { () throws(FileFailure) in if let text { try TextFile.replace(path, text: text) } }
        default: return .refused
        }
    }

    private func edit(_ edit: PeerEdit) -> StewardReply {
        do throws(Failure) {
            let path = current.withLock { $0.file }
            guard !path.isEmpty, let file = try SiteFile.find(path) else {
                throw Failure(.missingInput, "there is no config file")
            }
            let change = try file.applying(edit)
            do throws(FileFailure) { try TextFile.change([change]) } catch { return .fileFailed(error) }
            beforeEdit.withLock { $0 = file.text }
            return .done
        } catch {
            return .failed(error.message, error.status.rawValue)
        }
    }

    private static func answer(_ body: () throws(FileFailure) -> Void) -> StewardReply {
        do throws(FileFailure) {
            try body()
            return .done
        } catch {
            return .fileFailed(error)
        }
    }

    private func read() -> [FileRecord] {
        let disk = RecordingDisk()
        let configuration = load(from: disk)
        pending.withLock { $0 = configuration }
        return disk.records
    }

    /// The configuration; `nil` if something is wrong with it.
    private func load(from disk: RecordingDisk) -> Configuration? {
        let file = current.withLock { $0.file }
        guard let found = (try? Configuration.load(file, from: disk))?.0 else { return nil }
        _ = found.loadNextPrivateKey(from: disk)
        return found.loadPrivateKey(from: disk).0 == nil ? nil : found
    }

    private func store(_ key: PrivateKey) throws(FileFailure) {
        var configuration = current.withLock { $0 }
        try configuration.storePrivateKey(key)
        guard case .inline = configuration.interface.privateKey else { return }
        configuration.interface.privateKey = .inline(key)
        let stored = configuration
        current.withLock { $0 = stored }
    }

    /// What the operator wrote into the file meanwhile stays there.
    private func save(_ peers: [SavedPeer]) throws(FileFailure) {
        let last = current.withLock { $0 }
        guard last.interface.savesConfiguration else { return }
        var configuration = load(from: RecordingDisk()) ?? last
        for saved in peers {
            guard let index = configuration.peers.firstIndex(where: { $0.publicKey == saved.publicKey }) else {
                continue
            }
            if let key = saved.presharedKey { configuration.peers[index].presharedKey = key }
            let written = configuration.peers[index].endpoint
            if let endpoint = saved.endpoint, written == nil || written?.numeric != nil {
                configuration.peers[index].endpoint = HostAndPort("\(endpoint)")
            }
        }
        try TextFile.replace(configuration.file, text: configuration.text())
    }
}
