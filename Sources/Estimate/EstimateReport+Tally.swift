import Control
import TunnelCore

extension EstimateReport {
    /// - Parameters:
    ///   - wireGuard: all that plain WireGuard put on the wire, its handshakes with it.
    ///   - gateway: all that the gateway did.
    ///   - links: all that it did in front of a link with a rate, in the order of `Tally.Link`.
    init(
        _ tally: Tally, _ options: Estimation.Options, wireGuard: Int, gateway: Int, links: [Int], seconds: Double
    ) {
        let rows = tally.rows.map { Row($0.key, $0.value) }.sorted {
            ($1.plainBytes, $0.name) < ($0.plainBytes, $1.name)
        }
        var total = Row(name: "total")
        for row in rows { total.add(row) }
        var tunnel = Row(name: "tunnel")
        tunnel.wireGuardBytes = UInt64(clamping: Int64(wireGuard) - Int64(total.wireGuardBytes))
        tunnel.gatewayBytes = UInt64(clamping: Int64(gateway) - Int64(total.gatewayBytes))
        tunnel.unitsBytes = UInt64(clamping: Int64(links[0]) - Int64(total.unitsBytes))
        tunnel.historyBytes = UInt64(clamping: Int64(links[1]) - Int64(total.historyBytes))
        tunnel.hostsHistoryBytes = UInt64(clamping: Int64(links[2]) - Int64(total.hostsHistoryBytes))
        total.add(tunnel)
        self.init(protocols: rows, tunnel: tunnel, total: total, seconds: seconds)
        history = History(
            bitsPerSecond: options.rate, roundTripMilliseconds: Double(options.roundTrip.nanoseconds) / 1e6)
    }
}

extension EstimateReport.Row {
    fileprivate init(_ name: String, _ row: Tally.Row) {
        self.init(name: name)
        packets = UInt64(row.packets)
        plainBytes = UInt64(row.plain)
        wireGuardBytes = UInt64(row.wireGuard)
        gatewayBytes = UInt64(row.gateway)
        unitsBytes = UInt64(row.links[0])
        historyBytes = UInt64(row.links[1])
        hostsHistoryBytes = UInt64(row.links[2])
        compressSeconds = Double(row.sending.nanoseconds) / 1e9
        decompressSeconds = Double(row.receiving.nanoseconds) / 1e9
        for reason in CompressionSkip.allCases { leftPlain["\(reason)"] = row.skipped[reason.rawValue] }
    }
}
