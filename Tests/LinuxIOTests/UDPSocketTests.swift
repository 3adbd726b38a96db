import Addresses
import CTun
import Glibc
import LinuxIO
import Testing

extension LinuxIOTests {
    @Suite struct UDP {
        static let v4 = IPAddress.v4(0x7f00_0001)
        static let v6 = IPAddress.v6(1)

        @Test(arguments: [UDPSocket.Family.v4, .v6])
        func aDatagramTellsWhereItCameFromWhereItWasSentAndItsTrafficClass(family: UDPSocket.Family) throws {
            let loopback = family == .v4 ? Self.v4 : Self.v6
            var sender = try UDPSocket(family: family)
            var receiver = try UDPSocket(family: family)
            let target = Endpoint(loopback, port: receiver.localPort)

            let sent = sender.post(pattern(1200), to: target, trafficClass: 0x8b).result
            #expect(sent.sent == 1 && sent.dropped == 0 && sent.error == 0)
            let letter = try #require(letters(1, from: &receiver).first)
            #expect(letter.bytes == pattern(1200))
            #expect(letter.sender == Endpoint(loopback, port: sender.localPort))
            #expect(letter.source == LocalSource(loopback, interface: 1))
            #expect(letter.trafficClass == 0x8b)
            #expect(letter.segment == 0 && !letter.isTruncated)

            _ = sender.post([], to: target)
            let empty = try #require(letters(1, from: &receiver).first)
            #expect(empty.bytes.isEmpty && empty.trafficClass == 0)
        }

        @Test func anEmptySocketSaysSoAndDatagramsTooLongForTheirSlotAreMarked() throws {
            var sender = try UDPSocket(family: .v4)
            var receiver = try UDPSocket(family: .v4)
            #expect(letters(1, from: &receiver).isEmpty)
            _ = sender.post(pattern(300), to: Endpoint(Self.v4, port: receiver.localPort))
            let letter = try #require(letters(1, from: &receiver, slotSize: 256).first)
            #expect(letter.isTruncated && letter.bytes == Array(pattern(300).prefix(256)))
            #expect(receiveErrno(&receiver) == -EAGAIN)
        }

        @Test(arguments: [UDPSocket.Family.v4, .v6], [true, false])
        func aRunArrivesAsItsDatagramsWithAndWithoutOffload(family: UDPSocket.Family, isOffloaded: Bool) throws {
            let loopback = family == .v4 ? Self.v4 : Self.v6
            var sender = try UDPSocket(family: family)
            var receiver = try UDPSocket(family: family)
            #expect(sender.sendOffload == true)
            #expect(sender.setSendOffload(isOffloaded) == isOffloaded)
            let run = pattern(10_500)
            let sent = sender.post(
                run, segment: 1000, to: Endpoint(loopback, port: receiver.localPort), trafficClass: 2)
            #expect(sent.result.sent == 11 && sent.result.dropped == 0 && sent.result.offload_disabled == 0)

            let found = letters(11, from: &receiver)
            #expect(found.map(\.bytes.count) == Array(repeating: 1000, count: 10) + [500])
            #expect(found.flatMap(\.bytes) == run)
            #expect(found.allSatisfy { $0.segment == 0 && $0.trafficClass == 2 })
        }

        @Test(arguments: [UDPSocket.Family.v4, .v6])
        func aReceiverWithOffloadGetsARunMergedWithItsSegmentSize(family: UDPSocket.Family) throws {
            let loopback = family == .v4 ? Self.v4 : Self.v6
            var sender = try UDPSocket(family: family)
            var receiver = try UDPSocket(family: family)
            #expect(receiver.setReceiveOffload(true) == true)
            let run = pattern(10_500)
            _ = sender.post(run, segment: 1000, to: Endpoint(loopback, port: receiver.localPort), trafficClass: 0xb8)

            let found = letters(11, from: &receiver)
            #expect(found.count < 11)
            #expect(found.flatMap(\.sizes) == Array(repeating: 1000, count: 10) + [500])
            #expect(found.flatMap(\.bytes) == run)
            #expect(found.allSatisfy { $0.sender?.port == sender.localPort && $0.trafficClass == 0xb8 })
            #expect(receiver.setReceiveOffload(false) == false)
        }

        @Test func theLongestRunGoesOutWhole() throws {
            var sender = try UDPSocket(family: .v4)
            var receiver = try UDPSocket(family: .v4)
            let run = pattern(64 * 1020)
            let sent = sender.post(run, segment: 1020, to: Endpoint(Self.v4, port: receiver.localPort)).result
            #expect(sent.sent == 64 && sent.dropped == 0 && sent.offload_disabled == 0)
            #expect(letters(64, from: &receiver).flatMap(\.bytes) == run)
        }

        @Test func manyRunsKeepTheirOrderAndTheirPlaces() throws {
            var sender = try UDPSocket(family: .v4)
            var first = try UDPSocket(family: .v4)
            var second = try UDPSocket(family: .v4)
            let ports = [first.localPort, second.localPort]
            let bytes = pattern(150 * 40)
            let result = send(&sender, bytes, count: 150, size: 40) {
                Endpoint(Self.v4, port: ports[$0 % 2])
            }
            #expect(result.total.sent == 150 && result.total.dropped == 0)
            for (offset, found) in [letters(75, from: &first), letters(75, from: &second)].enumerated() {
                let expected = stride(from: offset, to: 150, by: 2).map { Array(bytes[$0 * 40..<$0 * 40 + 40]) }
                #expect(found.map(\.bytes) == expected)
            }
        }

        @Test(arguments: [true, false])
        func placesThatCannotBeReachedStopNoOther(isOffloaded: Bool) throws {
            var sender = try UDPSocket(family: .v4)
            var receiver = try UDPSocket(family: .v4)
            sender.setSendOffload(isOffloaded)
            let dead = try UDPSocket(family: .v4).localPort
            // In turn: a port nobody listens on, an address that refuses (broadcast), the other family, and one that lives.
            let places = [
                Endpoint(Self.v4, port: dead), Endpoint(.v4(0xffff_ffff), port: 9), Endpoint(Self.v6, port: 9),
                Endpoint(Self.v4, port: receiver.localPort),
            ]
            for _ in 0..<3 {
                let result = send(&sender, pattern(100 * 50), count: 100, size: 50, segment: 20) { places[$0 % 4] }
                #expect(result.total.sent == 150 && result.total.dropped == 150)
                for index in 0..<100 {
                    let expected: Int32 = [0, EACCES, EAFNOSUPPORT, 0][index % 4]
                    #expect(result.errors[index] == expected)
                    #expect(result.dropped[index] == (expected == 0 ? 0 : 3))
                }
                #expect(letters(75, from: &receiver).count == 75)
            }
            #expect(sender.sendOffload == isOffloaded)
        }

        @Test(arguments: [UDPSocket.Family.v4, .v6])
        func aDatagramThatComesBackIsToldAndCostsNoOther(family: UDPSocket.Family) throws {
            let loopback = family == .v4 ? Self.v4 : Self.v6
            var sender = try UDPSocket(family: family)
            var receiver = try UDPSocket(family: family)
            let dead = Endpoint(loopback, port: try UDPSocket(family: family).localPort)
            let target = Endpoint(loopback, port: receiver.localPort)
            for _ in 0..<5 {
                #expect(sender.post([1], to: dead).result.dropped == 0)
                #expect(sender.post([2], to: target).result.sent == 1)
                #expect(receiveErrno(&sender) == -EAGAIN)
            }
            #expect(letters(5, from: &receiver).count == 5)
            let taken = sender.takeError()
            let error = try #require(taken)
            #expect(error.remote.endpoint == dead && error.offender.address == loopback)
            #expect(family == .v4 ? (error.type, error.code) == (3, 3) : (error.type, error.code) == (1, 4))
            while sender.takeError() != nil { continue }
            #expect(!isReadable(sender.descriptor, milliseconds: 0))
        }

        @Test func aWrongChecksumIsToldApartFromAFullBuffer() {
            var start = UDPLosses()
            start.overflows = 100
            start.checksums = 50
            for (overflows, checksums, dropped, expected) in [(0, 0, 0, 0), (9, 0, 9, 0), (0, 7, 7, 7), (9, 7, 16, 7)]
                as [(UInt64, UInt64, UInt64, UInt64)]
            {
                var now = start
                now.overflows += overflows
                now.checksums += checksums
                #expect(now.checksums(of: dropped, since: start) == expected)
                // Other sockets of the host lose datagrams as well.
                now.checksums += 1000
                #expect(now.checksums(of: dropped, since: start) == expected)
            }
        }

        @Test(
            arguments: [
                ("", "", 0, 0),
                ("Udp:", "Udp6RcvbufErrors", 0, 0),
                ("Udp: InCsumErrors\nUdp: 18446744073709551615\n", "", 0, UInt64.max),
                (
                    """
                    Tcp: InCsumErrors
                    Tcp: 9
                    Udp: InDatagrams RcvbufErrors SndbufErrors InCsumErrors MemErrors
                    Udp: 1 20 3 400 5
                    UdpLite: RcvbufErrors InCsumErrors
                    UdpLite: 7 7

                    """,
                    "Ip6InReceives  \t1\nUdp6RcvbufErrors                \t3\nUdp6InCsumErrors\t5\nUdpLite6InCsumErrors\t7\n",
                    23,
                    405
                ),
                // Fewer values than names, and something that is no number.
                ("Udp: RcvbufErrors InCsumErrors\nUdp: 8", "Udp6RcvbufErrors x\nUdp6InCsumErrors 2\n", 8, 2),
            ] as [(String, String, UInt64, UInt64)])
        func whatTheKernelSaysIsRead(snmp: String, snmp6: String, overflows: UInt64, checksums: UInt64) {
            let (v4, v6) = (Array(snmp.utf8), Array(snmp6.utf8))
            let losses = UDPLosses(snmp: v4.span, snmp6: v6.span)
            #expect(losses.overflows == overflows)
            #expect(losses.checksums == checksums)
        }

        @Test func aSourceIsUsedAndOneThatIsGoneIsReportedAndDoneWithout() throws {
            var sender = try UDPSocket(family: .v4)
            var receiver = try UDPSocket(family: .v4)
            let target = Endpoint(Self.v4, port: receiver.localPort)
            let other = IPAddress.v4(0x7f00_0063)
            let local = sender.post([1], to: target, from: LocalSource(other, interface: 1))
            #expect(!local.sourceRefused)
            #expect(letters(1, from: &receiver).first?.sender?.address == other)

            for isOffloaded in [true, false] {
                sender.setSendOffload(isOffloaded)
                let gone = LocalSource(.v4(0xc000_024d), interface: 0)
                let sent = sender.post(pattern(2500), segment: 1000, to: target, from: gone)
                #expect(sent.sourceRefused && sent.result.sent == 3 && sent.result.dropped == 0)
                let found = letters(3, from: &receiver)
                #expect(found.count == 3 && found.allSatisfy { $0.sender?.address == Self.v4 })
                #expect(sender.sendOffload == isOffloaded)
            }
            var sender6 = try UDPSocket(family: .v6)
            var receiver6 = try UDPSocket(family: .v6)
            let gone = LocalSource(.v6(0x2001_0db8 << 96 | 7), interface: 1)
            let sent = sender6.post([9], to: Endpoint(Self.v6, port: receiver6.localPort), from: gone)
            #expect(sent.sourceRefused && sent.result.sent == 1)
            #expect(letters(1, from: &receiver6).first?.sender?.address == Self.v6)
        }

        @Test func whatOverflowsTheReceiveBufferIsCounted() throws {
            var sender = try UDPSocket(family: .v4)
            var receiver = try UDPSocket(family: .v4)
            let target = Endpoint(Self.v4, port: receiver.localPort)
            #expect(receiver.overflows == 0)
            let total = 6000
            for _ in 0..<total { _ = sender.post(pattern(1000), to: target) }
            let arrived = letters(total, from: &receiver).count
            #expect(arrived < total)
            _ = sender.post([1], to: target)
            #expect(letters(1, from: &receiver).count == 1)
            #expect(Int(receiver.overflows) == total - arrived)
        }

        @Test func aPairSharesItsPortAndATakenPortIsNamed() throws {
            let pair = try UDPSocket.pair(port: 0)
            let port = pair.port
            #expect(port != 0)
            guard let v4 = pair.v4, let v6 = pair.v6 else {
                Issue.record("this host lacks a family")
                return
            }
            #expect(v4.localPort == port)
            #expect(v6.localPort == port)
            do {
                _ = try UDPSocket.pair(port: port)
                Issue.record("the port was bound twice")
            } catch {
                #expect(error.number == EADDRINUSE)
                #expect("\(error)" == "bind UDP port \(port) for IPv4: Address already in use")
            }
            v6.close()
            v4.close()
        }

        @Test func aPairWithThePortTakenInOneFamilyIsAnErrorThatSaysWhich() throws {
            let taken = try UDPSocket(family: .v6)
            do {
                _ = try UDPSocket.pair(port: taken.localPort)
                Issue.record("the port was bound twice")
            } catch {
                #expect("\(error)" == "bind UDP port \(taken.localPort) for IPv6: Address already in use")
            }
        }

        @Test func addressesSurviveTheWayThroughC() {
            let endpoints = ["192.0.2.1:1", "255.255.255.255:65535", "[2001:db8::1:ff]:51820", "[fe80::1%3]:7"]
            for endpoint in endpoints.compactMap({ Endpoint($0) }) {
                #expect(ctun_address(endpoint).endpoint == endpoint)
            }
            #expect(ctun_address().endpoint == nil)
        }
    }
}

private func receiveErrno(_ socket: inout UDPSocket) -> Int32 {
    var arena = [UInt8](repeating: 0, count: 2048)
    var messages = [ctun_received()]
    var slots = messages.mutableSpan
    var bytes = arena.mutableSpan
    var raw = unsafe bytes.mutableBytes
    return socket.receive(into: &raw, slotSize: 2048, messages: &slots)
}

/// Sends `count` runs of `size` bytes that lie one after another in `bytes` with one call.
private func send(
    _ socket: inout UDPSocket, _ bytes: [UInt8], count: Int, size: Int, segment: Int = 0, to place: (Int) -> Endpoint
) -> (total: ctun_sent, errors: [Int32], dropped: [Int]) {
    unsafe bytes.withUnsafeBytes { bytes in
        var runs: [ctun_run] = unsafe (0..<count).map { index in
            unsafe ctun_run(
                base: bytes.baseAddress.map { unsafe $0 + index * size }, length: size, segment: segment,
                to: place(index), from: nil, trafficClass: 0)
        }
        let total = unsafe runs.withUnsafeMutableBufferPointer { unsafe socket.send($0) }
        return unsafe (total, runs.map { unsafe $0.error }, runs.map { unsafe Int($0.dropped) })
    }
}
