import Addresses
import Glibc
import LinuxIO

@testable import TunnelCore

// Nanoseconds for the steps that every packet goes through, one core, medians of eleven rounds. Numbers to compare on one
// machine, before and after a change; nothing is asserted.

let packetSize = 1420
let rounds = 11

/// Prints the median time of one of `count` steps that `body` makes.
func measure(_ name: String, count: Int, _ body: () -> Void) {
    var times: [Double] = []
    for _ in 0..<rounds {
        let start = bootTime()
        body()
        times.append(Double(bootTime() - start) / Double(count))
    }
    times.sort()
    let median = times[rounds / 2]
    let digits = Int((median * 10).rounded())
    print("\(name)\(String(repeating: " ", count: max(1, 44 - name.utf8.count)))\(digits / 10).\(digits % 10) ns")
}

func seal(_ size: Int, _ count: Int, _ key: inout CipherKey, _ arena: inout Arena) {
    for counter in 0..<count {
        var buffer = arena[0..<size + 16]
        key.seal(&buffer, counter: UInt64(counter))
    }
}

/// The tag is wrong every time, which costs as much as if it were right.
func open(_ size: Int, _ count: Int, _ key: inout CipherKey, _ arena: inout Arena) {
    for counter in 0..<count {
        var buffer = arena[0..<size + 16]
        _ = key.open(&buffer, counter: UInt64(counter))
    }
}

func measureCiphers() {
    let kinds: [(String, CipherSuite, ChaChaImplementation)] = [
        ("ChaCha20-Poly1305, libsodium", .chacha20poly1305, .libsodium),
        ("ChaCha20-Poly1305, BoringSSL", .chacha20poly1305, .boringSSL), ("AES-256-GCM", .aes256gcm, .boringSSL),
    ]
    for (name, suite, implementation) in kinds {
        var key = CipherKey()
        var arena = Arena(capacity: packetSize + 16)
        key.begin(suite, implementation, key: Bytes32(repeating: 7).span)
        for size in [64, packetSize] {
            measure("seal \(size) bytes, \(name)", count: 20_000) { seal(size, 20_000, &key, &arena) }
        }
        measure("open \(packetSize) bytes, \(name)", count: 20_000) { open(packetSize, 20_000, &key, &arena) }
        key.end()
    }
}

func measureRouting() {
    var table = AllowedIPs()
    var noise: UInt32 = 1
    func next() -> UInt32 {
        noise = noise &* 1_664_525 &+ 1_013_904_223
        return noise
    }
    for slot in 0..<10_000 {
        if let prefix = Prefix(.v4(next()), length: 24) { table.insert(prefix, PeerSlot(slot)) }
    }
    let addresses = (0..<1024).map { _ in IPAddress.v4(next()) }
    var found = 0
    measure("route among 10,000 prefixes", count: 102_400) {
        for _ in 0..<100 { for address in addresses { if table.lookup(address) != nil { found &+= 1 } } }
    }
    if found < 0 { print("") }
}

func measureReplay() {
    var window = ReplayWindow()
    var counter: UInt64 = 0
    measure("replay window, in order", count: 1_000_000) {
        for _ in 0..<1_000_000 {
            _ = window.accept(counter)
            counter += 1
        }
    }
}

func measureChecksum() {
    var arena = Arena(capacity: packetSize)
    var sum: UInt16 = 0
    measure("checksum of \(packetSize) bytes", count: 100_000) {
        for _ in 0..<100_000 {
            var checksum = Checksum()
            let bytes = arena[0..<packetSize]
            checksum.add(bytes.bytes)
            sum &+= checksum.value
        }
    }
    if sum == 1 { print("") }
}

/// A TCP super-segment of 64 KB for a peer that has no session: what cutting costs, without sealing.
func measureSplit() {
    var arena = Arena(capacity: 65_535)
    let size = 40 + 46 * 1380
    let header = superSegment(size)
    var packets = 0
    measure("cut a packet from a super-segment", count: 46 * 1000) {
        for _ in 0..<1000 {
            var frame = arena[0..<size]
            for (offset, byte) in header.enumerated() { frame.store(byte, at: offset) }
            var virtio = VirtioHeader()
            virtio.kind = .tcp4
            virtio.segment = 1380
            virtio.needsChecksum = true
            virtio.checksumStart = 20
            virtio.checksumOffset = 16
            guard let header = InternetPacket(frame.bytes), var split = Split(frame.bytes, header, virtio: virtio)
            else {
                return
            }
            while split.nextPacket(in: &frame) != nil { packets += 1 }
        }
    }
    precondition(packets == rounds * 46 * 1000)
}

/// IPv4 and TCP headers of a super-segment.
func superSegment(_ size: Int) -> [UInt8] {
    let ip: [UInt8] = [
        0x45, 0, UInt8(size >> 8), UInt8(size & 255), 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]
    return ip + [0x13, 0x88, 0, 25, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 4, 0, 0, 0, 0, 0]
}

measureCiphers()
measureRouting()
measureReplay()
measureChecksum()
measureSplit()
