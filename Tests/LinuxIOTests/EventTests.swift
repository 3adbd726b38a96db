import Glibc
import LinuxIO
import Testing

extension LinuxIOTests {
    @Suite struct Events {
        @Test func anErrorReadsAsWhatWasTriedAndWhyItFailed() {
            let error = SystemError("open /dev/net/tun", number: EACCES)
            #expect("\(error)" == "open /dev/net/tun: Permission denied")
        }

        @Test func aSignalledEventWakesItsWaiterOnceUnderItsToken() throws {
            var epoll = try Epoll()
            let event = try EventFD()
            try epoll.add(event.descriptor, token: 0xdead_beef_0000_0007)
            #expect(epoll.wait(milliseconds: 0) == 0)

            event.signal()
            event.signal()
            #expect(epoll.wait(milliseconds: 1000) == 1)
            let first = epoll.event(at: 0)
            #expect(first.token == 0xdead_beef_0000_0007)
            #expect(first.ready == .read)
            #expect(event.take() == true)
            #expect(event.take() == false)
            #expect(epoll.wait(milliseconds: 0) == 0)
        }

        @Test func aRemovedDescriptorWakesNobody() throws {
            var epoll = try Epoll()
            let event = try EventFD()
            try epoll.add(event.descriptor, token: 1)
            event.signal()
            try epoll.modify(event.descriptor, [], token: 2)
            #expect(epoll.wait(milliseconds: 0) == 0)
            try epoll.modify(event.descriptor, [.read, .write], token: 3)
            #expect(epoll.wait(milliseconds: 0) == 1)
            #expect(epoll.event(at: 0).token == 3)
            try epoll.remove(event.descriptor)
            #expect(epoll.wait(milliseconds: 0) == 0)
            #expect(throws: SystemError("stop to watch descriptor 999999", number: EBADF)) {
                try Epoll().remove(999_999)
            }
        }

        @Test func aTimerFiresAtItsTimeAndNotWhenDisarmed() throws {
            var epoll = try Epoll()
            let timer = try TimerFD()
            try epoll.add(timer.descriptor, token: 1)
            let start = bootTime()
            timer.arm(at: start + 20_000_000)
            #expect(timer.take() == false)
            #expect(epoll.wait(milliseconds: 2000) == 1)
            #expect(bootTime() - start >= 20_000_000)
            #expect(timer.take() == true)

            timer.arm(at: bootTime() + 5_000_000)
            timer.disarm()
            #expect(epoll.wait(milliseconds: 20) == 0)
        }

        @Test func aTimerForATimeThatHasPassedFiresAtOnce() throws {
            var epoll = try Epoll()
            let timer = try TimerFD()
            try epoll.add(timer.descriptor, token: 1)
            for time in [bootTime() - 1, 0, -5] {
                timer.arm(at: time)
                #expect(epoll.wait(milliseconds: 500) == 1)
                #expect(timer.take() == true)
            }
        }

        @Test func aSignalArrivesAsItsNumber() throws {
            let outcome = Outcome()
            runOnThread {
                guard let signals = try? SignalFD([SIGUSR1, SIGUSR2]) else { return }
                outcome.signals.append(signals.read())
                pthread_kill(pthread_self(), SIGUSR2)
                outcome.signals.append(signals.read())
                outcome.signals.append(signals.read())
            }
            #expect(outcome.signals == [nil, SIGUSR2, nil])
        }

        @Test func theClocksAgreeWithTheSystem() {
            let first = bootTime()
            #expect(first > 0)
            #expect(bootTime() >= first)
            let now = wallClock()
            let seconds = time(nil)
            #expect(abs(now.seconds - Int64(seconds)) <= 1)
            #expect((0..<1_000_000_000).contains(now.nanoseconds))
        }

        @Test func theOtherEndOfAUnixSocketIsKnown() throws {
            var ends: [Int32] = [0, 0]
            try #require(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
            let first = FileDescriptor(owning: ends[0])
            let second = FileDescriptor(owning: ends[1])
            let credentials = try PeerCredentials(of: first.raw)
            #expect(credentials.process == getpid())
            #expect(credentials.user == geteuid())
            #expect(credentials.group == getegid())
            second.close()
            #expect(fcntl(ends[1], F_GETFD) == -1)
            let released = first.release()
            #expect(fcntl(released, F_GETFD) >= 0)
            close(released)
        }
    }
}

private final class Outcome {
    var signals: [Int32?] = []
}
