/// What is known of the sizes that get to a peer in one piece, and which are to be asked about next. All are those of the IP packet outside.
struct PathSizes {
    /// What every path should take, and every IPv4 path does (RFC 8899 §5.1.2, RFC 8200 §5, RFC 791).
    static let base = 1280
    static let leastV4 = 576
    /// Sizes that networks have, between which none is looked for.
    private static let usual = [
        576, 768, 1006, 1152, 1280, 1300, 1320, 1340, 1360, 1380, 1400, 1420, 1436, 1440, 1452, 1460, 1472, 1480, 1488,
        1492,
        1500, 1600, 2000, 2304, 3000, 4000, 4352, 5000, 6000, 7000, 8000, 8500, 8900, 8946, 9000, 12_000, 16_000,
        24_000,
        32_000, 48_000, 64_000,
    ]

    /// The MTU of our own interface on the way; 0: not known.
    private(set) var ceiling = 0
    /// What the route is said to take, which holds until the path was asked.
    private var route = 0
    private var isV4 = true
    /// The largest size that was answered, and the smallest that failed.
    var confirmed = 0
    var failed = Int.max
    /// What ICMP said.
    var hint = 0

    init() {}

    init(ceiling: Int, route: Int, isV4: Bool) {
        self.isV4 = isV4
        self.ceiling = min(max(ceiling, floor), 65_535)
        self.route = min(max(route, floor), 65_535)
    }

    /// Whether the path begins as that one does.
    func begins(like other: PathSizes) -> Bool {
        ceiling == other.ceiling && route == other.route && isV4 == other.isV4
    }

    // MARK: What holds

    /// The value in use; 0: what the configuration and the route let expect.
    var value: Int {
        if confirmed > 0 { return confirmed }
        guard failed < Int.max else { return 0 }
        if hint > 0, hint == failed - 1 { return hint }
        return failed > Self.base ? min(Self.base, failed - 1) : floor
    }

    /// The value in use, or what is expected.
    var known: Int { value > 0 ? value : route }

    /// What follows for datagrams.
    var limit: PathLimit {
        guard ceiling > 0 else { return PathLimit() }
        return PathLimit(
            payload: payload(of: known), isFound: value > 0, whole: confirmed > 0 ? confirmed - headers : 0)
    }

    var headers: Int { (isV4 ? IPv4Header.size : IPv6Header.size) + UDPHeader.size }
    var floor: Int { isV4 ? Self.leastV4 : Self.base }

    /// The payload of a probe of a size.
    func payload(of size: Int) -> Int { size - headers - Transport.overhead }

    // MARK: The search

    /// The sizes to ask about, the larger first; `nil` if there is nothing left to find.
    func candidates() -> (Int, Int)? {
        if failed == .max, confirmed < ceiling { return (ceiling, 0) }
        if confirmed == 0, failed > Self.base, hint < Self.base || hint >= failed {
            return failed - 1 > Self.base ? (middle(above: Self.base), Self.base) : (Self.base, 0)
        }
        let upper = min(failed, ceiling + 1)
        let lower = max(confirmed, floor - 1)
        if hint > lower, hint < upper { return (hint, 0) }
        let left = Self.usual.lazy.filter { $0 > lower && $0 < upper }.count
        guard left > 0 else { return nil }
        let first = Self.usual.firstIndex { $0 > lower } ?? 0
        guard left > 1 else { return (Self.usual[first], 0) }
        let one = first + left / 3
        let two = max(first + left * 2 / 3, one + 1)
        return (Self.usual[min(two, first + left - 1)], Self.usual[one])
    }

    private func middle(above lower: Int) -> Int {
        let upper = min(failed, ceiling + 1)
        let between = Self.usual.lazy.filter { $0 > lower && $0 < upper }
        let count = between.count
        return count == 0 ? upper - 1 : between.dropFirst(count / 2).first ?? upper - 1
    }
}

// What a new process takes over.
extension PathSizes {
    func write(to state: inout StateWriter) {
        state.put(UInt16(clamping: ceiling))
        state.put(UInt16(clamping: route))
        state.put(isV4)
        state.put(UInt16(clamping: confirmed))
        state.put(UInt32(clamping: failed == .max ? 0 : failed))
        state.put(UInt16(clamping: hint))
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        let ceiling = Int(try state.number(UInt16.self))
        let route = Int(try state.number(UInt16.self))
        let isV4 = try state.bool()
        let confirmed = Int(try state.number(UInt16.self))
        let failed = Int(try state.number(UInt32.self))
        let hint = Int(try state.number(UInt16.self))
        guard ceiling > 0 else {
            self.init()
            return
        }
        self.init(ceiling: ceiling, route: route, isV4: isV4)
        let range = floor...self.ceiling
        if range.contains(hint) { self.hint = hint }
        if failed > floor, failed > confirmed { self.failed = failed }
        if range.contains(confirmed) { self.confirmed = confirmed }
    }
}
