import ArgumentParser
import Control

/// `gatewayctl show`, as `wg show`.
struct Show: GatewayCommand {
    static let configuration = CommandConfiguration(abstract: "Prints interfaces and peers, as wg show does.")

    @Argument(help: "The interface; all that run if left out.")
    var name: InterfaceName?

    func perform() throws(Failure) {
        let statistics = try RunningStatistics.of(name)
        Terminal.write(ShowText.render(statistics, now: Terminal.now, ink: Terminal.ink))
    }
}
