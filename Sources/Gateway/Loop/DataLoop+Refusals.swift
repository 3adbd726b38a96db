import Addresses
import LinuxIO
import TunnelCore

extension DataLoop {
    /// Tells the senders of packets that go nowhere, from the interface's own address, or from another of ours if it has none.
    /// While the interface is in another namespace its addresses are not known here.
    mutating func answerRefusals() {
        while let refusal = tunnel.pollRefusal() {
            let answer = deviceWatch == nil ? nil : ICMPAnswer(towards: refusal.destination)
            if let answer, icmp.send(refusal.message, from: answer, to: refusal.sender) { continue }
            makeRoom()
            // An answer of IPv4 that comes out of the device from an address of ours would be dropped there.
            let isV4 = refusal.sender.isV4
            tunnel.answer(refusal, from: isV4 ? nil : answer?.source)
        }
    }
}
