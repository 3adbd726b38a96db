import NIOHTTP1

/// A resource of the control socket.
///
///     GET  /v1/stats         statistics                       the socket's group, root
///     GET  /v1/peers         the peers of them                the same
///     GET  /v1/peers/PEER    one, by name or public key       the same
///     PUT, PATCH, DELETE /v1/peers/PEER   another one          root
///     GET  /v1/events        what happened, or happens        the same
///     GET  /v1/key           our public key                   the same
///     GET  /v1/diagnose      what a diagnosis needs, and it   the same
///     GET  /v1/trace         what becomes of packets          the same
///     GET  /v1/capture       packets themselves               root
///     GET  /metrics          statistics for Prometheus        the same, and who may connect to MetricsListen
///     PUT  /v1/key           another private key              root
///     PUT  /v1/psk           another preshared key of a peer  root
///     POST /v1/reload        read the file again              root
///     POST /v1/upgrade       another process takes over       root
///     POST /v1/peers/PEER/ping   how long the way takes       root
///     POST /v1/key/rotate    another private key, without a gap  root
///     POST /v1/peers/PEER/rotate  a new preshared key, at both ends   root
enum ControlRoute: Equatable, Sendable {
    case statistics, peers, events, diagnosis, key, presharedKey, reload, upgrade, metrics, trace, capture, keyRotation
    case peer(String)
    case ping(String)
    case rotation(String)

    /// The resource of a path; `nil` if there is none.
    init?(path: some StringProtocol) {
        switch path {
        case "/v1/stats": self = .statistics
        case "/v1/peers": self = .peers
        case "/v1/events": self = .events
        case "/v1/key": self = .key
        case "/v1/key/rotate": self = .keyRotation
        case "/v1/psk": self = .presharedKey
        case "/v1/reload": self = .reload
        case "/v1/upgrade": self = .upgrade
        case "/v1/diagnose": self = .diagnosis
        case "/v1/trace": self = .trace
        case "/v1/capture": self = .capture
        case "/metrics": self = .metrics
        default:
            let prefix = "/v1/peers/"
            guard path.hasPrefix(prefix) else { return nil }
            let parts = path.dropFirst(prefix.count).split(separator: "/", omittingEmptySubsequences: false)
            guard let name = parts.first?.percentDecoded, !name.isEmpty else { return nil }
            switch parts.dropFirst() {
            case []: self = .peer(name)
            case ["ping"]: self = .ping(name)
            case ["rotate"]: self = .rotation(name)
            default: return nil
            }
        }
    }

    /// What it does that is for root alone.
    var deed: String {
        switch self {
        case .reload: "reload"
        case .upgrade: "upgrade"
        case .ping: "have a peer asked"
        case .peer: "change peers"
        case .capture: "see packets"
        default: "change keys"
        }
    }

    /// Whoever may connect may ask for it.
    func isForReaders(_ method: HTTPMethod) -> Bool { method == .GET && self != .capture }

    /// The methods that it takes.
    var methods: [HTTPMethod] {
        switch self {
        case .peer: [.GET, .PUT, .PATCH, .DELETE]
        case .statistics, .peers, .events, .diagnosis, .metrics, .trace, .capture: [.GET]
        case .key: [.GET, .PUT]
        case .presharedKey: [.PUT]
        case .reload, .upgrade, .ping, .rotation, .keyRotation: [.POST]
        }
    }
}

/// A request's target in its parts: the path, and what stands behind a question mark.
struct ControlTarget: Sendable {
    let path: String
    /// Names and values, decoded; the last of several with one name.
    private var items: [String: String] = [:]
    /// Something in the query can't be read.
    private(set) var isMalformed = false

    init(_ target: String) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts.first ?? "")
        guard parts.count == 2 else { return }
        for item in parts[1].split(separator: "&") {
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = pair[0].percentDecoded, let value = pair.count == 2 ? pair[1].percentDecoded : "" else {
                isMalformed = true
                continue
            }
            items[name] = value
        }
    }

    subscript(name: String) -> String? { items[name] }
}

extension StringProtocol {
    /// The text with each `%xx` as the byte that it stands for (RFC 3986 §2.1); `nil` if that is no UTF-8, or a `%` stands for nothing.
    var percentDecoded: String? {
        var bytes: [UInt8] = []
        var rest = Array(utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let high = Self.hexadecimal(rest.removeFirst()),
                let low = Self.hexadecimal(rest.removeFirst())
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
