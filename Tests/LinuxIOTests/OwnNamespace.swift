import Addresses
import Glibc
import LinuxIO
import Testing

/// What a body that ran in a namespace of its own has to say.
///
/// The body runs on a thread that Swift Testing does not know, so it notes failures here instead of recording them.
final class Findings {
    fileprivate(set) var failures: [(text: String, location: SourceLocation)] = []

    func expect(_ holds: Bool, _ text: @autoclosure () -> String, at location: SourceLocation = #_sourceLocation) {
        if !holds { failures.append((text(), location)) }
    }

    func expect<Value: Equatable>(
        _ value: Value, is expected: Value, _ what: String, at location: SourceLocation = #_sourceLocation
    ) {
        expect(value == expected, "\(what): \(value), expected \(expected)", at: location)
    }
}

/// Runs `body` on a thread of its own in a new network namespace in which loopback is up, and waits for it. The other
/// threads stay where they are. Fails the test if the process may not do that.
func inOwnNamespace(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: @escaping (Findings) throws -> Void
) {
    guard geteuid() == 0 else {
        Issue.record("this test makes interfaces and so must run as root", sourceLocation: sourceLocation)
        return
    }
    let findings = Findings()
    let location = sourceLocation
    runOnThread {
        let result = unshareNetwork()
        guard result == 0 else {
            findings.expect(false, "no new network namespace: \(SystemError.text(of: result))", at: location)
            return
        }
        do {
            var netlink = try Netlink()
            try netlink.setUp(1)
            try body(findings)
        } catch {
            findings.expect(false, "\(error)", at: location)
        }
    }
    for failure in findings.failures {
        Issue.record(Comment(rawValue: failure.text), sourceLocation: failure.location)
    }
}

/// 0 or an errno. Glibc's module lacks the call.
private func unshareNetwork() -> Int32 {
    let newNetwork: Int32 = 0x4000_0000
    guard let symbol = unsafe dlsym(nil, "unshare") else { return ENOSYS }
    let unshare = unsafe unsafeBitCast(symbol, to: (@convention(c) (Int32) -> Int32).self)
    return unshare(newNetwork) == 0 ? 0 : errno
}

private final class Work {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
}

/// Runs `body` on a new thread and waits for its end.
func runOnThread(_ body: @escaping () -> Void) {
    var thread = pthread_t()
    let work = unsafe Unmanaged.passRetained(Work(body)).toOpaque()
    let result = unsafe pthread_create(
        &thread, nil,
        { argument in
            if let argument = unsafe argument {
                unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
            }
            return nil
        }, work)
    guard result == 0 else {
        Issue.record("no thread: \(SystemError.text(of: result))")
        return
    }
    pthread_join(thread, nil)
}

/// Changes the user of the calling thread alone, as the bare system call does; Glibc's own changes all threads.
func setThreadUser(_ user: UInt32) -> Bool {
    guard let symbol = unsafe dlsym(nil, "syscall") else { return false }
    let setresuid = 117
    let call = unsafe unsafeBitCast(symbol, to: (@convention(c) (Int, Int, Int, Int) -> Int).self)
    return call(setresuid, Int(user), Int(user), Int(user)) == 0
}

func interfaceAddress(_ text: String) throws -> InterfaceAddress { try #require(InterfaceAddress(text)) }

func endpoint(_ text: String) throws -> Endpoint { try #require(Endpoint(text)) }
