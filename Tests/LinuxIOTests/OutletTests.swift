import Addresses
import CTun
import Glibc
import LinuxIO
import Testing

extension LinuxIOTests {
    /// What is for a neighbour that answers no ARP stays in its socket's account.
    @Suite struct OutletTests {
        @Test func whoGetsNothingAwayGetsASocketOfItsOwnAndTheOthersKeepTheirs() {
            inOwnNamespace { found in
                let tap = try silentNeighbours()
                defer { withExtendedLifetime(tap) {} }
                var socket = try UDPSocket(family: .v4)
                var receiver = try UDPSocket(family: .v4)
                let here = Endpoint(.v4(0x7f00_0001), port: receiver.localPort)
                shrink(socket)
                let stuck = (0..<60).map { _ in give(&socket, from: 1, to: neighbour(9)).outlet }
                found.expect(stuck.first, is: 0, "its first outlet")
                found.expect(stuck.last, is: 1, "its last outlet")
                for owner in [2, nil] {
                    let given = give(&socket, from: owner, to: here)
                    found.expect(given.outlet, is: 0, "another's outlet")
                    found.expect(given.sent, is: 1, "another's datagrams sent")
                }
                // Both send from the one port, and one alone receives.
                let outer = give(&socket, from: 1, to: here)
                found.expect(outer.outlet, is: 1, "its outlet")
                let came = letters(3, from: &receiver)
                found.expect(came.map { $0.sender?.port }, is: Array(repeating: socket.localPort, count: 3), "ports")
                found.expect(came.last?.sender?.address, is: .v4(0x7f00_0001), "the address it comes from")
                _ = receiver.post([7], to: Endpoint(.v4(0x7f00_0001), port: socket.localPort))
                found.expect(letters(1, from: &socket).map(\.bytes), is: [[7]], "what the socket receives")
            }
        }

        @Test func nobodyElseGetsIntoThePort() {
            inOwnNamespace { found in
                let tap = try silentNeighbours()
                defer { withExtendedLifetime(tap) {} }
                var socket = try UDPSocket(family: .v4)
                shrink(socket)
                for _ in 0..<60 { _ = give(&socket, from: 1, to: neighbour(9)) }
                let other = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
                defer { close(other) }
                var on: Int32 = 1
                unsafe setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, 4)
                var name = sockaddr_in()
                name.sin_family = sa_family_t(AF_INET)
                name.sin_port = socket.localPort.bigEndian
                let size = socklen_t(MemoryLayout<sockaddr_in>.size)
                let result = unsafe withUnsafePointer(to: &name) { name in
                    unsafe name.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(other, $0, size) }
                }
                found.expect(result, is: -1, "another's bind")
                found.expect(errno, is: EADDRINUSE, "its errno")
            }
        }

        @Test func whenAllOutletsAreFullTheirOwnersAloneLoseAndAnEmptyOneIsGivenAway() {
            inOwnNamespace { found in
                var tap = try silentNeighbours()
                var socket = try UDPSocket(family: .v4)
                shrink(socket)
                var outlets: Set<Int?> = []
                for owner in 0..<40 {
                    for _ in 0..<20 { outlets.insert(give(&socket, from: owner, to: neighbour(owner + 2)).outlet) }
                }
                found.expect(
                    outlets, is: Set((0..<CTUN_OUTLETS).map(Optional.some)).union([nil]), "outlets")
                // What waited for the neighbours is gone with the interface.
                tap = try silentNeighbours(replacing: tap)
                found.expect(give(&socket, from: 50, to: neighbour(9)).outlet, is: 0, "a newcomer's outlet")
                let stuck = (0..<60).map { _ in give(&socket, from: 50, to: neighbour(9)).outlet }
                let last = stuck.last ?? nil
                found.expect(last.map { $0 > 0 } == true, "\(String(describing: last)) is not another's outlet")
                withExtendedLifetime(tap) {}
            }
        }
    }
}

private func neighbour(_ number: Int) -> Endpoint { Endpoint(.v4(0x0a4f_0000 + UInt32(number)), port: 9) }

/// A device whose neighbours do not answer.
private func silentNeighbours(replacing old: consuming TunDevice? = nil) throws -> TunDevice {
    old = nil
    let tap = try TunDevice(name: "taprest", kind: .tap)
    var netlink = try Netlink()
    try netlink.addAddress(try interfaceAddress("10.79.0.1/24"), to: tap.index)
    try netlink.setUp(tap.index)
    return tap
}

/// Makes the buffer of the socket itself as small as 128 KB, of which the kernel takes some two for a datagram.
private func shrink(_ socket: borrowing UDPSocket) {
    var size: Int32 = 65_536
    unsafe setsockopt(socket.descriptor, SOL_SOCKET, SO_SNDBUF, &size, 4)
}

/// Sends a datagram of 1000 bytes by the outlet that its owner is to take; `nil` if there was none.
private func give(_ socket: inout UDPSocket, from owner: Int?, to place: Endpoint) -> (outlet: Int?, sent: UInt32) {
    guard let outlet = socket.outlet(for: owner, datagrams: 1, bytes: 1000) else { return (nil, 0) }
    return unsafe pattern(1000).withUnsafeBytes { bytes in
        var run = unsafe ctun_run(
            base: bytes.baseAddress, length: bytes.count, segment: 0, to: place, from: nil, trafficClass: 0,
            outlet: outlet)
        let result = unsafe withUnsafeMutablePointer(to: &run) {
            unsafe socket.send(UnsafeMutableBufferPointer(start: $0, count: 1))
        }
        return (outlet, result.sent)
    }
}
