import CConfine
import Glibc

/// The rights that a process keeps for good, and all threads that it starts from then on. Everything else is given away.
public struct Confinement: Sendable {
    /// Capabilities by their number (capabilities(7)).
    public enum Capability: Int, Sendable {
        case setGroup = 6, setUser = 7
        /// Ports below 1024.
        case bindService = 10
        /// Interfaces, addresses, routes, rules, marks.
        case networkAdministration = 12

        fileprivate var bit: UInt64 { 1 << UInt64(rawValue) }
    }

    /// What of it holds.
    public struct Outcome: Sendable {
        /// The user's name, if the process became another than it was.
        public let user: String?
        /// The version of Landlock; 0 if the kernel has none.
        public let landlock: Int
        /// How many system calls are left; 0 if the kernel can't leave any out.
        public let calls: Int
    }

    private let kept: UInt64
    private let user: String

    /// `user` is whom the process becomes, if there is such a user and the process may.
    public init(keeping capabilities: [Capability], user: String) {
        kept = capabilities.reduce(0) { $0 | $1.bit }
        self.user = user
    }

    /// Gives the rights away. There must be one thread, for of others this takes nothing: else it is `EBUSY`.
    public func apply() throws(SystemError) -> Outcome {
        let threads = try SystemError.check(cconfine_threads(), "count its threads")
        guard threads == 1 else { throw SystemError("give up rights with \(threads) threads", number: EBUSY) }
        let change = Capability.setUser.bit | Capability.setGroup.bit
        let mayChange = cconfine_permitted() & change == change
        let entry = mayChange ? Self.look(up: user) : nil
        try SystemError.check(
            cconfine_drop(kept, entry.map { Int64($0.user) } ?? -1, entry.map { Int64($0.group) } ?? -1),
            "give up capabilities")
        let landlock = try SystemError.check(cconfine_files(), "give up files by Landlock")
        let calls = cconfine_calls()
        // Some kernels have no filters.
        if calls != -EINVAL { try SystemError.check(calls, "give up system calls by seccomp") }
        return Outcome(user: entry == nil ? nil : user, landlock: Int(landlock), calls: max(Int(calls), 0))
    }

    private static func look(up name: String) -> (user: uid_t, group: gid_t)? {
        guard let entry = unsafe getpwnam(name) else { return nil }
        return unsafe (entry.pointee.pw_uid, entry.pointee.pw_gid)
    }
}
