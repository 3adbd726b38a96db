import CTun
import Glibc

/// A thread that does what is posted to it, one after the other, until the process ends.
public final class WorkThread<Job: Sendable>: Sendable {
    private let jobs: Mailbox<Job>

    /// Starts it. `name` is what `top -H` shows, at most 15 bytes; `makeWorker` runs on the new thread, and what it
    /// returns does the jobs there. At most `capacity` of them wait.
    public init(
        name: String, capacity: Int, makeWorker: @escaping @Sendable () -> (Job) -> Void
    ) throws(SystemError) {
        let jobs = try Mailbox<Job>(capacity: capacity)
        self.jobs = jobs
        try startThread(name) {
            let perform = makeWorker()
            while true {
                jobs.wait()
                for job in jobs.takeAll() { perform(job) }
            }
        }
    }

    /// Posts a job; false if too many wait.
    @discardableResult
    public func post(_ job: Job) -> Bool { jobs.post(job) }
}

/// Names the thread that calls.
private func setName(_ name: String) {
    let bytes = Array(name.utf8)
    _ = ctun_name_thread(bytes.span)
}

/// Names the process as lists of processes show it, which is named like its only thread.
public func nameProcess(_ name: String) { setName(name) }

/// Runs `body` on a new detached thread that blocks the signals which the calling thread blocks. `name` is what `top -H`
/// shows, at most 15 bytes.
public func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    var thread = pthread_t()
    let failure = unsafe pthread_create(
        &thread, nil,
        { context in
            guard let context = unsafe context else { return nil }
            unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
            return nil
        },
        Unmanaged.passRetained(
            Body {
                setName(name)
                body()
            }
        ).toOpaque())
    guard failure == 0 else { throw SystemError("start thread \(name)", number: failure) }
    pthread_detach(thread)
}
