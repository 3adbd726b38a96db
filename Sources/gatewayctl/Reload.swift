import ArgumentParser
import Control

/// `gatewayctl reload`: what changed in the file, and whether it holds.
struct Reload: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract: "Has a running gateway read its file again, and prints what changed.",
        discussion: """
            A line for each difference; one that does not hold says why, and the exit code is 69 then. A file with an error \
            changes nothing.
            """)

    @Flag(name: .long, help: "Only print what would change.")
    var dryRun = false

    @Argument(help: "The interface; may be left out if only one is running.")
    var name: InterfaceName?

    func perform() throws(Failure) {
        let client = try RunningGateway.client(name)
        let reply = try reporting { () throws(ControlError) in try client.reload(dryRun: dryRun) }
        let changes = reply.changes ?? []
        for change in changes {
            Terminal.write(change.reason.map { "\(change.what): not changed, \($0)\n" } ?? "\(change.what)\n")
        }
        if changes.isEmpty { Terminal.write("nothing changed in the file\n") }
        for peer in reply.changedMeanwhile ?? [] {
            Terminal.write(
                "peer \(peer): not as in the file before, changed by wg or gatewayctl; what the file did not change stays so\n"
            )
        }
        let left = changes.count { !$0.isApplied }
        guard left == 0 else {
            throw Failure(.unavailable, "\(left) of \(changes.count) changes \(dryRun ? "would not" : "do not") hold")
        }
    }
}
