/// Packets that wait for a session: at most 128, at most 256 KB, the oldest dropped first.
///
/// They are copies on the heap: a packet waits only while there is no session, so this is off the hot path.
struct StagedPackets {
    private var packets: [[UInt8]] = []
    private var bytes = 0

    var isEmpty: Bool { packets.isEmpty }
    var count: Int { packets.count }

    /// Adds a copy of `packet`; how many others it pushed out.
    mutating func append(_ packet: RawSpan) -> Int {
        var dropped = 0
        while packets.count >= Limits.stagedPackets || !packets.isEmpty && bytes + packet.byteCount > Limits.stagedBytes
        {
            bytes -= packets.removeFirst().count
            dropped += 1
        }
        packets.append(
            unsafe [UInt8](unsafeUninitializedCapacity: packet.byteCount) { target, count in
                unsafe packet.withUnsafeBytes { unsafe UnsafeMutableRawBufferPointer(target).copyMemory(from: $0) }
                count = packet.byteCount
            })
        bytes += packet.byteCount
        return dropped
    }

    /// Takes all, oldest first.
    mutating func removeAll() -> [[UInt8]] {
        defer {
            packets = []
            bytes = 0
        }
        return packets
    }
}
