import Addresses
import CTun
import Glibc
import LinuxIO
import Testing

extension LinuxIOTests {
    @Suite struct Tun {
        @Test func aPacketForAnAddressBehindTheDeviceIsReadFromItWithAnEmptyHeader() {
            inOwnNamespace { found in
                let tun = try tunDevice("tunread", "10.77.0.1/24", "fd77::1/64")
                var socket = try UDPSocket(family: .v4)
                let sent = socket.post(pattern(100), to: try endpoint("10.77.0.2:5000"), trafficClass: 0x10).result
                found.expect(sent.sent, is: 1, "sent")

                let frame = nextFrame(tun) { $0[10] >> 4 == 4 }
                found.expect(frame.count, is: 10 + 20 + 8 + 100, "length of the frame")
                guard frame.count == 138 else { return }
                found.expect(Array(frame[..<10]), is: [UInt8](repeating: 0, count: 10), "virtio header")
                found.expect(Array(frame[22..<30]), is: [10, 77, 0, 1, 10, 77, 0, 2], "addresses")
                found.expect(frame[11], is: 0x10, "ToS")
                found.expect(frame[16] & 0x40, is: 0, "don't-fragment bit")
                found.expect(Array(frame[38...]), is: pattern(100), "payload")
            }
        }

        @Test func aPacketWrittenToTheDeviceReachesASocketWholeOrInPieces() {
            inOwnNamespace { found in
                let tun = try tunDevice("tunwrite", "10.77.0.1/24", "fd77::1/64")
                var socket = try UDPSocket(family: .v4)
                let packet = udpPacket(
                    from: [10, 77, 0, 2], to: [10, 77, 0, 1], port: socket.localPort, payload: pattern(64))
                let frame = [UInt8](repeating: 0, count: 10) + packet
                let span = frame.span
                found.expect(tun.write(unsafe span.bytes), is: frame.count, "bytes written")
                found.expect(writeInPieces(frame, cutAt: [10, 38], to: tun), is: frame.count, "bytes written")

                let letters = letters(2, from: &socket)
                found.expect(letters.map(\.bytes), is: [pattern(64), pattern(64)], "payloads")
                found.expect(letters.first?.sender, is: try endpoint("10.77.0.2:4242"), "sender")
                found.expect(letters.first?.source?.interface, is: tun.index, "interface")

                let garbage = [UInt8](repeating: 0, count: 4)
                let short = garbage.span
                found.expect(tun.write(unsafe short.bytes), is: -Int(EINVAL), "a frame without its header")
            }
        }

        @Test func withOffloadsALongRunComesOutAsOneFrame() {
            inOwnNamespace { found in
                let tun = try tunDevice("tungso", "10.77.0.1/24", "fd77::1/64")
                try tun.setOffloads([.checksum, .tcp4, .tcp6, .udp4, .udp6])
                var socket = try UDPSocket(family: .v4)
                _ = socket.post(pattern(10_000), segment: 1000, to: try endpoint("10.77.0.2:5000"))
                let whole = nextFrame(tun) { $0[10] >> 4 == 4 }
                found.expect(whole.count, is: 10 + 28 + 10_000, "one frame")
                found.expect(whole.count > 1 ? whole[1] : 0, is: 5, "GSO type UDP_L4")

                try tun.setOffloads([])
                _ = socket.post(pattern(10_000), segment: 1000, to: try endpoint("10.77.0.2:5000"))
                for _ in 0..<10 {
                    found.expect(nextFrame(tun) { $0[10] >> 4 == 4 }.count, is: 10 + 28 + 1000, "a frame of ten")
                }
                found.expectError(EINVAL, nil) { try tun.setOffloads(TunOffloads(rawValue: 1 << 30)) }
            }
        }

        @Test func aRunWithSegmentsLongerThanTheMTUGoesOutFragmentedAndKeepsTheOffload() {
            inOwnNamespace { found in
                let tun = try tunDevice("tunsmall", "10.77.0.1/24", "fd77::1/64")
                var netlink = try Netlink()
                try netlink.setMTU(1280, of: tun.index)
                for (family, place, fragments) in [(UDPSocket.Family.v4, "10.77.0.2:5", 6), (.v6, "[fd77::2]:5", 6)] {
                    var socket = try UDPSocket(family: family)
                    let sent = socket.post(pattern(3 * 1400), segment: 1400, to: try endpoint(place)).result
                    found.expect(sent.sent, is: 3, "sent to \(place)")
                    found.expect(sent.dropped, is: 0, "dropped for \(place)")
                    found.expect(sent.offload_disabled, is: 0, "offload disabled for \(place)")
                    found.expect(socket.sendOffload, is: true, "offload for \(place)")
                    for index in 0..<fragments {
                        // UDP over IPv4, or a fragment over IPv6; neighbour and multicast chatter is passed over.
                        let frame = nextFrame(tun) {
                            family == .v4 ? $0[10] >> 4 == 4 : $0[10] >> 4 == 6 && $0[16] == 44
                        }
                        found.expect((11...1290).contains(frame.count), "fragment \(index) has \(frame.count) bytes")
                    }
                }
            }
        }

        @Test func theDeviceSaysWhetherItIsUpAndGoesWithItsOwner() {
            inOwnNamespace { found in
                var netlink = try Netlink()
                let tun = try TunDevice(name: "tunstate", kind: .tun)
                found.expect(tun.state, is: .down, "state of a new device")
                try netlink.setUp(tun.index)
                found.expect(tun.state, is: .up, "state")
                var result = 0
                // The kernel announces itself over IPv6 first.
                repeat { result = read(tun).result } while result > 0
                found.expect(result, is: -Int(EAGAIN), "reading where nothing waits")
                try netlink.setDown(tun.index)
                found.expect(tun.state, is: .down, "state")
                found.expect(tun.name, is: "tunstate", "name")
                found.expect(try netlink.device(named: "tunstate")?.index, is: tun.index, "index")
                tun.close()
                found.expect(try netlink.device(named: "tunstate"), is: nil, "the interface after close")
            }
        }

        @Test func aDeletedInterfaceIsGone() {
            inOwnNamespace { found in
                let tun = try tunDevice("tungone", "10.77.0.1/24", "fd77::1/64")
                var netlink = try Netlink()
                try netlink.deleteDevice(tun.index)
                found.expect(tun.state, is: .gone, "state")
                found.expect(read(tun).result, is: -Int(EBADFD), "reading")
                let frame = [UInt8](repeating: 0, count: 40)
                let span = frame.span
                found.expect(tun.write(unsafe span.bytes), is: -Int(EBADFD), "writing")
            }
        }

        @Test func aTapDeviceCarriesEthernetFrames() {
            inOwnNamespace { found in
                let tap = try TunDevice(name: "tap%d", kind: .tap)
                found.expect(tap.name, is: "tap0", "name")
                var netlink = try Netlink()
                try netlink.addAddress(try interfaceAddress("10.78.0.1/24"), to: tap.index)
                try netlink.setUp(tap.index)
                var socket = try UDPSocket(family: .v4)
                _ = socket.post([1], to: try endpoint("10.78.0.2:9"))
                let frame = nextFrame(tap) { $0.count > 24 && $0[22] == 8 && $0[23] == 6 }
                found.expect(
                    Array(frame.dropFirst(10).prefix(6)), is: [UInt8](repeating: 0xff, count: 6), "ARP's target")
            }
        }

        @Test func aFullSendBufferIsNotWaitedForAndDropsWhatIsLeft() {
            inOwnNamespace { found in
                let tap = try TunDevice(name: "tapfull", kind: .tap)
                var netlink = try Netlink()
                try netlink.addAddress(try interfaceAddress("10.79.0.1/24"), to: tap.index)
                try netlink.setUp(tap.index)
                var socket = try UDPSocket(family: .v4)
                var size: Int32 = 4608
                unsafe setsockopt(socket.descriptor, SOL_SOCKET, SO_SNDBUF, &size, 4)
                socket.setSendOffload(false)
                // Nobody answers ARP there, so the datagrams stay in the socket's account.
                let sent = socket.post(pattern(60_000), segment: 1000, to: try endpoint("10.79.0.2:9")).result
                found.expect((1...20).contains(sent.sent), "sent \(sent.sent)")
                found.expect(sent.sent + sent.dropped, is: 60, "sent and dropped")
                found.expect(sent.error, is: EAGAIN, "errno")
            }
        }

        @Test func aDescriptorMadeByAnotherIsTakenOver() {
            inOwnNamespace { found in
                let tun = try TunDevice(name: "tunadopt", kind: .tun)
                let copy = FileDescriptor(owning: dup(tun.descriptor))
                tun.close()
                let adopted = try TunDevice(adopting: copy)
                found.expect(adopted.name, is: "tunadopt", "name")
                found.expect(adopted.kind, is: .tun, "kind")
                found.expect(adopted.state, is: .down, "state")
                do {
                    _ = try TunDevice(adopting: FileDescriptor(owning: dup(0)))
                    found.expect(false, "something else was taken for a TUN device")
                } catch {
                    found.expect("\(error)".hasPrefix("take over the TUN descriptor"), "\(error)")
                }
            }
        }

        @Test func aNameThatIsTooLongOrTakenIsAClearError() {
            inOwnNamespace { found in
                let name = "sixteen-letters!"
                found.expectError(
                    ENAMETOOLONG, "make the interface \(name) with /dev/net/tun: File name too long"
                ) { _ = try TunDevice(name: name, kind: .tun) }
                let first = try TunDevice(name: "tuntwice", kind: .tun)
                found.expectError(EBUSY, nil) { _ = try TunDevice(name: "tuntwice", kind: .tun) }
                first.close()
            }
        }

        @Test func withoutPrivilegeMakingADeviceIsAClearError() {
            inOwnNamespace { found in
                // Only this thread's user changes: Glibc's setresuid would change it for all.
                guard setThreadUser(65534) else { return found.expect(false, "the user could not be changed") }
                // The device node may be open to all; then the kernel refuses what comes next.
                let isOpenToAll = unsafe access("/dev/net/tun", R_OK | W_OK) == 0
                let text = isOpenToAll ? "Operation not permitted" : "Permission denied"
                found.expectError(
                    isOpenToAll ? EPERM : EACCES, "make the interface tunforbidden with /dev/net/tun: \(text)"
                ) { _ = try TunDevice(name: "tunforbidden", kind: .tun) }
            }
        }
    }
}

/// A TUN device that is up and has both addresses.
private func tunDevice(_ name: String, _ v4: String, _ v6: String) throws -> TunDevice {
    var netlink = try Netlink()
    let tun = try TunDevice(name: name, kind: .tun)
    try netlink.addAddress(interfaceAddress(v4), to: tun.index)
    try netlink.addAddress(interfaceAddress(v6), to: tun.index)
    try netlink.setUp(tun.index)
    return tun
}

private func read(_ tun: borrowing TunDevice) -> (result: Int, frame: [UInt8]) {
    var buffer = [UInt8](repeating: 0xee, count: 70_000)
    var result = 0
    do {
        var span = buffer.mutableSpan
        var bytes = unsafe span.mutableBytes
        result = tun.read(into: &bytes)
    }
    return (result, Array(buffer.prefix(max(result, 0))))
}

/// The next frame that `isWanted`, waiting for it up to a second; empty if none comes.
private func nextFrame(_ tun: borrowing TunDevice, where isWanted: ([UInt8]) -> Bool) -> [UInt8] {
    while isReadable(tun.descriptor, milliseconds: 1000) {
        let (result, frame) = read(tun)
        if result < 0 { return [] }
        if frame.count > 10, isWanted(frame) { return frame }
    }
    return []
}

private func writeInPieces(_ frame: [UInt8], cutAt cuts: [Int], to tun: borrowing TunDevice) -> Int {
    unsafe frame.withUnsafeBytes { bytes in
        var pieces: [ctun_piece] = unsafe []
        var start = 0
        for end in cuts + [frame.count] {
            unsafe pieces.append(ctun_piece(base: bytes.baseAddress.map { unsafe $0 + start }, length: end - start))
            start = end
        }
        return unsafe pieces.withUnsafeBufferPointer { unsafe tun.write(pieces: $0) }
    }
}

/// An IPv4 packet with a UDP datagram from port 4242, without a UDP checksum.
private func udpPacket(from: [UInt8], to: [UInt8], port: UInt16, payload: [UInt8]) -> [UInt8] {
    func split(_ number: Int) -> [UInt8] { [UInt8(number >> 8 & 255), UInt8(number & 255)] }
    let length = split(28 + payload.count)
    let header: [UInt8] = [0x45, 0] + length + [0, 1, 0, 0, 64, 17, 0, 0] + from + to
    let sum = stride(from: 0, to: 20, by: 2).reduce(0) { $0 + Int(header[$1]) << 8 + Int(header[$1 + 1]) }
    let folded = sum & 0xffff + sum >> 16
    let checksum = split(~(folded & 0xffff + folded >> 16) & 0xffff)
    let udp = split(4242) + split(Int(port)) + split(8 + payload.count) + [0, 0]
    return header[..<10] + checksum + header[12...] + udp + payload
}
