import Glibc

/// A file that is read from its start to its end.
final class CaptureFile {
    private static let chunkSize = 256 * 1024

    private let descriptor: Int32

    /// `-` is standard input.
    init(_ path: String) throws(CaptureFailure) {
        descriptor = path == "-" ? STDIN_FILENO : unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(errno) }
    }

    deinit { if descriptor != STDIN_FILENO { close(descriptor) } }

    /// The next bytes; none at the end.
    func read() throws(CaptureFailure) -> [UInt8] {
        while true {
            var count = 0
            let chunk = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunkSize) { buffer, used in
                count = unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                used = max(count, 0)
            }
            if count >= 0 { return chunk }
            guard errno == EINTR else { throw .system(errno) }
        }
    }
}
