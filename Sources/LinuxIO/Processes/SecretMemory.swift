import CTun
import Glibc

/// Memory that two processes share for a moment, to hand over secrets: not in any file, left out of core dumps, not swapped out
/// where the kernel can do without, and wiped when either lets go of it.
@safe
public final class SecretMemory: @unchecked Sendable {
    private let file: FileDescriptor
    private let space: UnsafeMutableRawBufferPointer

    /// A descriptor of so many bytes: of memory that the kernel itself keeps its hands off (memfd_secret(2)), or of any.
    public static func make(size: Int, isSecret: Bool) throws(SystemError) -> FileDescriptor {
        try FileDescriptor(ctun_secret_memory(UInt64(size), isSecret ? 1 : 0), "make memory for secrets")
    }

    /// Maps what a descriptor from `make` is of. `EFBIG` if that is more than `limit` bytes.
    public init(adopting file: consuming FileDescriptor, atMost limit: Int) throws(SystemError) {
        var status = stat()
        guard unsafe fstat(file.raw, &status) == 0 else { throw SystemError("map secrets", number: errno) }
        let size = Int(status.st_size)
        guard size > 0, size <= limit else { throw SystemError("map secrets of \(size) bytes", number: EFBIG) }
        let start = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.raw, 0)
        guard let start = unsafe start, unsafe start != MAP_FAILED else {
            throw SystemError("map secrets of \(size) bytes", number: errno)
        }
        // Fails where it is locked already, or where too much is.
        _ = unsafe mlock(start, size)
        _ = unsafe madvise(start, size, MADV_DONTDUMP)
        unsafe space = UnsafeMutableRawBufferPointer(start: start, count: size)
        self.file = file
    }

    deinit {
        wipe()
        if let start = unsafe space.baseAddress { _ = unsafe munmap(start, space.count) }
    }

    /// To be given to the other process; borrowed.
    public var descriptor: Int32 { file.raw }

    /// The memory, for as long as this lives.
    @unsafe public var bytes: UnsafeMutableRawBufferPointer { unsafe space }

    public func wipe() {
        if let start = unsafe space.baseAddress { unsafe explicit_bzero(start, space.count) }
    }
}
