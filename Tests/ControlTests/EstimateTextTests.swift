import Control
import Testing

@Suite struct EstimateTextTests {
    @Test("an estimate is a table of protocols, what it costs, and how long links are busy")
    func table() {
        #expect(
            EstimateText.render(report) == """
                  capture      1500 frames in 12.3 s
                  left out     3 cut by the snapshot length, 1 too long
                  compression  auto, MTU 1420

                                packets       bytes   WireGuard     gateway   saved        CPU
                  postgres         1000    1.00 MiB    1.10 MiB  337.92 KiB  70.0 %    0.125 s
                  https             400  512.00 KiB  530.00 KiB  530.00 KiB   0.0 %    0.000 s
                  tunnel                                  356 B       524 B
                  total            1400    1.50 MiB    1.62 MiB  868.43 KiB  47.6 %    0.125 s

                  left plain
                  postgres     small 12, backoff 3
                  https        encrypted 400

                  History, in front of 20.0 Mbit/s and 40.0 ms
                                  WireGuard       units     by flow    less    by hosts    less
                  postgres         1.10 MiB  300.00 KiB  240.00 KiB  20.0 %  225.00 KiB  25.0 %
                  https          530.00 KiB  530.00 KiB  530.00 KiB   0.0 %  530.00 KiB   0.0 %
                  tunnel              356 B       600 B    1.17 KiB            1.17 KiB
                  total            1.62 MiB  830.59 KiB  771.17 KiB   7.2 %  756.17 KiB   9.0 %

                  sender       0.100 s of CPU more than WireGuard, 63.6 s per GB
                  receiver     0.025 s of CPU more than WireGuard, 15.9 s per GB

                  link busy        WireGuard      gateway        saved
                  2 Mbit/s            6.79 s       3.56 s       3.23 s
                  20 Mbit/s           0.68 s       0.36 s       0.32 s
                  200 Mbit/s          0.07 s       0.04 s       0.03 s

                """)
    }

    @Test("what costs more than it saves is negative, and nothing is no division by zero")
    func loss() {
        var row = EstimateReport.Row(name: "dns")
        row.wireGuardBytes = 1000
        row.gatewayBytes = 1005
        row.compressSeconds = -0.0001
        let text = EstimateText.render(EstimateReport(protocols: [row], tunnel: row, total: row, seconds: 0))
        #expect(text.contains("  -0.5 %    0.000 s"))
        #expect(text.contains("left out     nothing"))
        #expect(text.contains("sender       0.000 s of CPU less than WireGuard, - s per GB"))
    }

    @Test("no line is longer than 80 columns, whatever the figures and reasons")
    func width() {
        var row = EstimateReport.Row(name: "elasticsearch")
        row.packets = 9_999_999
        for field in [
            \.plainBytes, \.wireGuardBytes, \.gatewayBytes, \.unitsBytes, \.historyBytes, \.hostsHistoryBytes,
        ]
            as [WritableKeyPath<EstimateReport.Row, UInt64>]
        {
            row[keyPath: field] = 1_048_570
        }
        for reason in ["excluded", "encrypted", "exposed", "small", "backoff", "busy", "other"] {
            row.leftPlain[reason] = 1_000_000
        }
        let text = EstimateText.render(EstimateReport(protocols: [row], tunnel: row, total: row, seconds: 1e6))
        let lines = text.split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 80 })
        #expect(lines.filter { $0.hasPrefix("  elasticsearch") }.count == 8)
    }

    private var report: EstimateReport {
        var postgres = EstimateReport.Row(name: "postgres")
        postgres.packets = 1000
        postgres.plainBytes = 1 << 20
        postgres.wireGuardBytes = 1_153_434
        postgres.gatewayBytes = 346_030
        postgres.unitsBytes = 300 << 10
        postgres.historyBytes = 240 << 10
        postgres.hostsHistoryBytes = 225 << 10
        postgres.compressSeconds = 0.1
        postgres.decompressSeconds = 0.025
        postgres.leftPlain = ["backoff": 3, "small": 12, "exposed": 0]
        var https = EstimateReport.Row(name: "https")
        https.packets = 400
        https.plainBytes = 512 << 10
        https.wireGuardBytes = 530 << 10
        https.gatewayBytes = 530 << 10
        https.unitsBytes = 530 << 10
        https.historyBytes = 530 << 10
        https.hostsHistoryBytes = 530 << 10
        https.compressSeconds = -0.00001
        https.leftPlain = ["encrypted": 400]
        var tunnel = EstimateReport.Row(name: "tunnel")
        tunnel.wireGuardBytes = 356
        tunnel.gatewayBytes = 524
        tunnel.unitsBytes = 600
        tunnel.historyBytes = 1200
        tunnel.hostsHistoryBytes = 1200
        var total = EstimateReport.Row(name: "total")
        for row in [postgres, https, tunnel] { total.add(row) }
        var report = EstimateReport(protocols: [postgres, https], tunnel: tunnel, total: total, seconds: 12.34)
        report.frames = 1500
        report.leftOut.cut = 3
        report.leftOut.tooLong = 1
        report.compression = "auto"
        report.mtu = 1420
        return report
    }
}
