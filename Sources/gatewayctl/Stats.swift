import ArgumentParser
import Control
import Glibc

/// `gatewayctl stats`: what running gateways do, for people and for scripts.
struct Stats: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints handshakes, bytes, compression and drops of each peer.")

    @Argument(help: "The interface; all that run if left out.")
    var name: InterfaceName?

    @Flag(help: "One line of JSON: an object for NAME, an array without it.")
    var json = false

    @Flag(help: "Again every second until Ctrl-C.")
    var watch = false

    func perform() throws(Failure) {
        repeat {
            let output = try render()
            if watch, !json, Terminal.isTerminal { Terminal.write("\u{1b}[H\u{1b}[2J") }
            Terminal.write(output)
            if watch { sleep(1) }
        } while watch
    }

    private func render() throws(Failure) -> [UInt8] {
        let statistics = try RunningStatistics.of(name)
        if json {
            do throws(JSON.Malformed) {
                let lineFeed = UInt8(ascii: "\n")
                if name != nil, let only = statistics.first { return try JSON.encode(only) + [lineFeed] }
                return try JSON.encode(statistics) + [lineFeed]
            } catch {
                throw Failure(.software, "the statistics are \(error)")
            }
        }
        guard !statistics.isEmpty else { throw RunningGateway.noneRunning }
        return Array(StatisticsText.render(statistics, now: Terminal.now, ink: Terminal.ink).utf8)
    }
}

/// The statistics of the named gateway, or of all that run.
enum RunningStatistics {
    static func of(_ name: InterfaceName?) throws(Failure) -> [InterfaceStatistics] {
        var statistics: [InterfaceStatistics] = []
        for client in RunningGateway.clients(name) {
            do throws(ControlError) {
                statistics.append(try client.statistics())
            } catch {
                // One that ended since it was listed is not missing.
                if name == nil, case .notRunning = error { continue }
                throw Failure(error)
            }
        }
        return statistics
    }
}
