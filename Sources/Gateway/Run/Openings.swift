import LinuxIO

/// What the daemon opens before it gives up its rights, and could not open afterwards.
struct Openings: ~Copyable {
    let device: TunDevice
    var sockets: UDPSocketPair
    var icmp = ICMPSocket()
    var losses = UDPLossFiles()
    /// Where `MetricsListen` is.
    var metrics: FileDescriptor?
}
