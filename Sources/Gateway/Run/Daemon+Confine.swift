import Control
import LinuxIO

/// What the daemon has given up.
struct Confined {
    /// `nil` if it was told to give up nothing.
    fileprivate let outcome: Confinement.Outcome?
    fileprivate let kept: [String]
}

extension Daemon {
    /// The user that the daemon becomes where there is one.
    private static let user = "gateway"

    /// Gives up all that carrying packets does not need, before there is a thread and before anything of the network is read.
    /// If the port is not known yet, somebody may name a low one later.
    func confine(portIsKnown: Bool) throws(Failure) -> Confined {
        guard isConfined else { return Confined(outcome: nil, kept: []) }
        let needsLowPort = !portIsKnown || (1..<1024).contains(configuration.interface.listenPort)
        let kept: [Confinement.Capability] = [.networkAdministration] + (needsLowPort ? [.bindService] : [])
        let outcome = try Failure.from(.unavailable) { () throws(SystemError) in
            try Confinement(keeping: kept, user: Self.user).apply()
        }
        return Confined(
            outcome: outcome, kept: ["CAP_NET_ADMIN"] + (needsLowPort ? ["CAP_NET_BIND_SERVICE"] : []))
    }

    /// Says what was given up, once it serves.
    func tell(_ confined: Confined) {
        guard let outcome = confined.outcome else {
            return log.error("--no-sandbox: what reads the network keeps all the rights that this command was given")
        }
        let missing = [outcome.landlock == 0 ? "Landlock" : nil, outcome.calls == 0 ? "seccomp" : nil].compactMap { $0 }
        if !missing.isEmpty {
            log.warning(
                "\(missing.joined(separator: " and ")) can't be had from this kernel or container: less is taken away")
        }
        let left = (outcome.user.map { ["user \($0)"] } ?? []) + confined.kept
        log.info(
            "confined: \(left.joined(separator: ", ")), \(outcome.calls) system calls, Landlock \(outcome.landlock)")
    }
}
