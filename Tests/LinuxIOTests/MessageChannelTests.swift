import Glibc
import LinuxIO
import Testing

/// Messages between two processes, here in one.
@Suite("Message channels")
struct MessageChannelTests {
    @Test("Messages arrive whole and in order, each with its descriptor")
    func messagesArrive() throws {
        let (a, b) = try MessageChannel.pair()
        var ends: [Int32] = [-1, -1]
        #expect(unsafe pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        try a.send([1, 2, 3], passing: ends[1])
        try a.send([])
        try a.send([UInt8](repeating: 7, count: 50_000))
        let first = try b.receive(milliseconds: 1000)
        #expect(first.bytes == [1, 2, 3])
        guard let passed = first.takeDescriptor() else {
            Issue.record("no descriptor came")
            return
        }
        var byte: UInt8 = 9
        #expect(unsafe write(passed.raw, &byte, 1) == 1)
        #expect(unsafe read(ends[0], &byte, 1) == 1 && byte == 9)
        #expect(try b.receive(milliseconds: 1000).bytes.isEmpty)
        #expect(try b.receive(milliseconds: 1000).bytes.count == 50_000)
    }

    @Test("What is too large is neither sent nor received")
    func sizeIsBounded() throws {
        let (a, b) = try MessageChannel.pair()
        #expect(throws: SystemError("send a message", number: EMSGSIZE)) {
            try a.send([UInt8](repeating: 0, count: MessageChannel.largest + 1))
        }
        var head: [UInt8] = [0xff, 0xff, 0xff, 0x7f]
        #expect(unsafe write(a.descriptor, &head, 4) == 4)
        do throws(SystemError) {
            _ = try b.receive(milliseconds: 1000)
            Issue.record("it was received")
        } catch {
            #expect(error.number == EPROTO)
        }
    }

    @Test("The end of one is known to the other, and who says nothing is not waited for")
    func endsAreKnown() throws {
        let (a, b) = try MessageChannel.pair()
        for number in [ETIMEDOUT, ECONNRESET] {
            if number == ECONNRESET { a.end() }
            do throws(SystemError) {
                _ = try b.receive(milliseconds: 20)
                Issue.record("something was received")
            } catch {
                #expect(error.number == number)
            }
        }
    }
}
