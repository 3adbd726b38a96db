import Control
import LinuxIO
import TunnelCore

extension DataLoop {
    /// Switches on what the kernel has of the offloads that the operator allows. What it lacks is done without.
    mutating func setOffloads(_ allowed: Set<Configuration.Offload>) {
        offloads = allowed
        Self.setOffloads(allowed, of: &sockets)

        // The device takes merged packets of the kinds that it may hand over, whether it is asked to hand them over or
        // not; UDP needs Linux 6.2.
        let tcp: TunOffloads = [.checksum, .tcp4, .tcp6]
        let takesUDP = accepts(tcp.union([.udp4, .udp6]))
        let takesTCP = takesUDP || accepts(tcp)
        tunnel.inbox.mergesTCP = takesTCP && allowed.contains(.tunGRO)
        tunnel.inbox.mergesUDP = takesUDP && allowed.contains(.tunGRO)
        if !allowed.contains(.tunTSO) { _ = accepts([]) }
    }

    static func setOffloads(_ allowed: Set<Configuration.Offload>, of sockets: inout UDPSocketPair) {
        _ = sockets.v4?.setSendOffload(allowed.contains(.udpGSO))
        _ = sockets.v6?.setSendOffload(allowed.contains(.udpGSO))
        _ = sockets.v4?.setReceiveOffload(allowed.contains(.udpGRO))
        _ = sockets.v6?.setReceiveOffload(allowed.contains(.udpGRO))
    }

    private func accepts(_ offloads: TunOffloads) -> Bool {
        do throws(SystemError) {
            try device.setOffloads(offloads)
            return true
        } catch {
            return false
        }
    }
}
