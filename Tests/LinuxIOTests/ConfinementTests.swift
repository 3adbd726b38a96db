import CConfine
import Glibc
import LinuxIO
import Synchronization
import Testing

/// What a thread can still do when it has given away files. The rest takes a whole process: Tests/System/test_confinement.py.
@Suite("Confinement")
struct ConfinementTests {
    @Test("Landlock alone keeps every file and folder from being opened, and descriptors that are open work on")
    func filesAreOutOfReach() throws {
        let found = Mutex<[Int32]>([])
        let before = unsafe open("/etc/passwd", O_RDONLY | O_CLOEXEC)
        defer { close(before) }
        try startThread("landlocked") {
            let version = cconfine_files()
            var numbers = [version]
            if version > 0 {
                let places = [
                    ("/etc/passwd", O_RDONLY), ("/", O_DIRECTORY), ("/tmp/gateway-landlock", O_CREAT | O_RDWR),
                ]
                for (path, flags) in places {
                    numbers.append(unsafe open(path, flags, 0o600) < 0 ? errno : 0)
                }
                var byte: UInt8 = 0
                numbers.append(unsafe pread(before, &byte, 1, 0) == 1 ? 0 : errno)
            }
            found.withLock { $0 = numbers }
        }
        while found.withLock({ $0.isEmpty }) { usleep(1000) }
        let numbers = found.withLock { $0 }
        // A kernel without Landlock has 0; without root it may not be asked.
        guard numbers[0] > 0 else { return }
        #expect(numbers.dropFirst() == [EACCES, EACCES, EACCES, 0])
    }

    @Test("A process with several threads is refused")
    func threadsAreRefused() {
        // The tests have some.
        #expect(throws: SystemError.self) { _ = try Confinement(keeping: [], user: "nobody-at-all").apply() }
    }
}
