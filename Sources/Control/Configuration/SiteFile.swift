public import Keys

/// A config file that is there, and may get another peer.
public struct SiteFile: Sendable {
    public let path: String
    public let configuration: Configuration
    public let text: String

    /// The file at this path; `nil` if there is none. One with errors is a failure.
    public static func find(_ path: String) throws(Failure) -> SiteFile? {
        guard TextFile.exists(path) else { return nil }
        let text: String
        do throws(FileFailure) { text = try TextFile.read(path) } catch { throw Failure(error) }
        let (configuration, diagnostics) = Configuration.parse(
            text: text, file: path, name: InterfaceName.stem(ofFile: path))
        guard let configuration else { throw refusal(diagnostics, "\(path) has errors") }
        return SiteFile(path: path, configuration: configuration, text: text)
    }

    /// The public half of its private key; `nil` if that is in a file that isn't here.
    public var publicKey: PublicKey? { configuration.loadPrivateKey().0?.publicKey }

    /// The change that puts a peer behind all that stands there. Fails if the file would have an error then.
    public func adding(_ peer: Configuration.Peer) throws(Failure) -> FileChange {
        let name = peer.name ?? "\(peer.publicKey)"
        if let known = configuration.peers.first(where: { $0.publicKey == peer.publicKey || $0.name == name }) {
            let what = known.name == name ? "a peer" : "the key of"
            let place = known.name.map { $0 == name ? "" : ", at the peer \($0)" } ?? ""
            throw Failure(.cantCreate, "\(path) has \(what) \(name) already\(place); nothing was changed")
        }
        let lineEnd = text.contains { $0 == "\r\n" } ? "\r\n" : "\n"
        let lines = [""] + peer.lines
        let addition = (text.last?.isNewline ?? true ? "" : lineEnd) + lines.map { $0 + lineEnd }.joined()
        let (extended, diagnostics) = Configuration.parse(
            text: text + addition, file: path, name: "\(configuration.interface.name)")
        guard extended != nil else { throw Self.refusal(diagnostics, "\(path) can't have the peer \(name)") }
        return .append(path, text: addition)
    }

    static func refusal(_ diagnostics: [Diagnostic], _ what: String) -> Failure {
        let reason = diagnostics.first { $0.severity == .error }.map { ": \($0)" } ?? ""
        return Failure(.configuration, "\(what)\(reason); nothing was changed")
    }
}
