import CTun

/// Nanoseconds since the machine started, sleep included (`CLOCK_BOOTTIME`): for every timeout.
public func bootTime() -> Int64 { ctun_boot_time() }

/// The time of day since 1970 in UTC (`CLOCK_REALTIME`): for TAI64N and for people. It may jump.
public func wallClock() -> (seconds: Int64, nanoseconds: Int32) {
    let now = ctun_wall_clock()
    return (now.seconds, now.nanoseconds)
}
