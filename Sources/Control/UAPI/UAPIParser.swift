/// Reads requests line by line. A request is whole with its empty line, and only then is anything known to be valid:
/// nothing of one with an error is ever done.
public struct UAPIParser {
    /// The longest line, without its end.
    public static let longestLine = 64 << 10
    /// The most bytes and lines of one request.
    private static let longestRequest = 64 << 20
    private static let mostLines = 2 << 20

    public enum Outcome: Sendable {
        case request(UAPIRequest)
        /// The request was wrong, and is over.
        case refused(UAPIError)
    }

    private enum State {
        case idle
        case get
        case set([UAPIChange], hasPeer: Bool)
        /// The rest of a request is passed over.
        case wrong(UAPIError)
    }

    private var state = State.idle
    private var bytes = 0
    private var lines = 0

    public init() {}

    /// No request has begun.
    public var isIdle: Bool {
        if case .idle = state { true } else { false }
    }

    /// Takes one line, without its end; what came of the request if the line ended it.
    ///
    /// Throws if the request is too long: its end can't be waited for, and the connection should be closed.
    public mutating func take(_ line: some Collection<UInt8>) throws(UAPIError) -> Outcome? {
        bytes += line.count + 1
        lines += 1
        guard line.count <= Self.longestLine, bytes <= Self.longestRequest, lines <= Self.mostLines else {
            throw .inputOutput
        }
        if line.isEmpty { return finish() }
        do throws(UAPIError) {
            try advance(line)
        } catch {
            state = .wrong(error)
        }
        return nil
    }

    private mutating func finish() -> Outcome? {
        defer { self = UAPIParser() }
        switch state {
        // Empty lines between requests mean nothing.
        case .idle: return nil
        case .get: return .request(.get)
        case .set(let changes, _): return .request(.set(changes))
        case .wrong(let error): return .refused(error)
        }
    }

    private mutating func advance(_ line: some Collection<UInt8>) throws(UAPIError) {
        switch state {
        case .idle:
            switch String(decoding: line, as: UTF8.self) {
            case "get=1": state = .get
            case "set=1": state = .set([], hasPeer: false)
            default: throw .protocolViolated
            }
        case .get: throw .invalid
        case .set(var changes, var hasPeer):
            // The only reference must be the local one, or appending would copy.
            state = .idle
            defer { state = .set(changes, hasPeer: hasPeer) }
            let change = try UAPIChange.parse(line, ofPeer: hasPeer)
            if case .peer = change { hasPeer = true }
            if let change { changes.append(change) }
        case .wrong: break
        }
    }
}
