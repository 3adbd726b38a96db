import ArgumentParser
import Control
import Glibc

/// `gatewayctl dashboard`: live pictures of a gateway's peers, in a browser on this machine.
struct DashboardCommand: GatewayCommand {
    static let configuration = CommandConfiguration(
        commandName: "dashboard",
        abstract: "Serves a page with live pictures of each peer to a browser on this machine, until Ctrl-C.",
        discussion: """
            It prints an address of the loopback that is good once: the browser that opens it gets a cookie, and nobody else sees \
            anything. From another machine: ssh -L 8642:127.0.0.1:8642 HOST, with --port 8642. The page needs no network.
            """)

    @Argument(help: "The interface; may be left out if only one runs.")
    var name: InterfaceName?
    @Option(help: "The TCP port; the system chooses if left out.")
    var port: UInt16 = 0
    @Flag(help: "The address as a line of JSON.")
    var json = false

    func perform() throws(Failure) {
        let client = try RunningGateway.client(name)
        _ = try reporting { () throws(ControlError) in try client.statistics() }
        guard var server = DashboardServer(client, port: port) else {
            throw Failure(
                .unavailable, "can't listen on 127.0.0.1:\(port): \(String(reason: errno)); choose another --port")
        }
        let address = server.address
        if json {
            if let line = try? JSON.encode(["address": address]) { Terminal.write(line + [UInt8(ascii: "\n")]) }
        } else {
            Terminal.write(address + "\n")
            Terminal.say("open it in a browser on this machine; it is good once. Ctrl-C ends it.")
        }
        while true { server.serveOne() }
    }
}

extension String {
    /// The system's words for an error.
    init(reason number: Int32) {
        guard let text = unsafe strerror(number) else {
            self = "error \(number)"
            return
        }
        self = unsafe String(cString: text)
    }
}
