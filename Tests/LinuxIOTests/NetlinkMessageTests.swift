import Addresses
import Testing

@testable import LinuxIO

@Suite struct NetlinkMessages {
    @Test func aRequestIsReadBackAsWhatWasWritten() throws {
        var request = NetlinkRequest(24, flags: 4, sequence: 0x0102_0304)
        request.append(UInt32(7))
        request.append(1, IPAddress.v4(0xc000_0201))
        request.append(3, text: "eth0")
        request.append(8) { $0.append(2, UInt32(1420)) }
        request.append(4, UInt8(9))
        let bytes = request.finished()
        #expect(bytes.count.isMultiple(of: 4))

        let messages = NetlinkMessage.all(in: bytes[...] + bytes)
        #expect(messages.count == 2)
        for message in messages {
            #expect(message.type == 24 && message.flags == 5 && message.sequence == 0x0102_0304)
            #expect(message.body.native(UInt32.self, at: 0) == 7)
            let attributes = message.attributes(after: 4)
            #expect(attributes[1]?.networkAddress == .v4(0xc000_0201))
            #expect(attributes[3].map { Array($0) } == Array("eth0\0".utf8))
            #expect(attributes[4]?.native(UInt8.self, at: 0) == 9)
            let nested = try #require(attributes[8])
            #expect(NetlinkMessage.attributes(in: nested)[2]?.native(UInt32.self, at: 0) == 1420)
        }
    }

    @Test func whatIsCutOrLiesAboutItsLengthEndsTheMessagesAndNeverTraps() {
        var request = NetlinkRequest(16, flags: 0, sequence: 1)
        for _ in 0..<4 { request.append(UInt32(0xffff_ffff)) }
        request.append(4, UInt32(1500))
        request.append(3, text: "a")
        let bytes = request.finished()
        for length in 0..<bytes.count {
            #expect(NetlinkMessage.all(in: bytes.prefix(length)).isEmpty)
        }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var broken = bytes
            for _ in 0..<3 { broken[Int.random(in: 0..<broken.count, using: &generator)] = .random(in: 0...255) }
            // Also as a slice that does not begin at 0.
            for message in NetlinkMessage.all(in: ([0, 0] + broken).dropFirst(2)) {
                _ = DeviceState(message)
                for value in message.attributes(after: RTNetlink.linkSize).values {
                    _ = value.networkAddress
                    _ = NetlinkMessage.attributes(in: value)
                }
            }
        }
        #expect(NetlinkMessage.attributes(in: [1, 0, 0, 0, 9]).isEmpty)
        #expect(NetlinkMessage.attributes(in: [0, 0, 0, 0]).isEmpty)
        #expect(ArraySlice<UInt8>([1, 2, 3]).native(UInt32.self, at: 0) == nil)
        #expect(ArraySlice<UInt8>([1, 2, 3]).native(UInt8.self, at: -1) == nil)
    }
}
