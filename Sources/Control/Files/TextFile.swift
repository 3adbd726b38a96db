import Glibc

/// Small text files: read whole, made new, or replaced in one step.
public enum TextFile {
    /// The most that is read: config and key files are far smaller.
    public static let largest = 1 << 20

    /// The whole file. Text that is not UTF-8 is repaired; the caller's parser will say what it can't read.
    public static func read(_ path: String) throws(FileFailure) -> String {
        String(decoding: try readBytes(path), as: UTF8.self)
    }

    /// The content as it stands.
    static func readBytes(_ path: String) throws(FileFailure) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure("read", path: path, code: errno) }
        defer { close(descriptor) }
        return try read(descriptor, path: path)
    }

    /// Standard input to its end.
    public static func readStandardInput() throws(FileFailure) -> String {
        String(decoding: try read(STDIN_FILENO, path: "standard input"), as: UTF8.self)
    }

    /// Makes a new file; an existing one is an error and stays as it is.
    /// - Parameter mode: its permission bits, whatever the umask.
    public static func create(_ path: String, mode: UInt32, text: String) throws(FileFailure) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode_t(0o600))
        guard descriptor >= 0 else { throw FileFailure("create", path: path, code: errno) }
        defer { close(descriptor) }
        do throws(FileFailure) {
            try write(Array(text.utf8), to: descriptor, mode: mode, path: path)
        } catch {
            unsafe unlink(path)
            throw error
        }
    }

    /// Replaces a file's content so that a reader, and a crash, sees the old or the new and nothing between: a
    /// temporary file in the same folder, synced, then renamed. Mode and owner are kept; a symbolic link is followed.
    public static func replace(_ path: String, text: String) throws(FileFailure) {
        try replace(path, bytes: Array(text.utf8))
    }

    static func replace(_ path: String, bytes: [UInt8]) throws(FileFailure) {
        let target = try resolved(path)
        var status = stat()
        guard unsafe stat(target, &status) == 0 else { throw FileFailure("replace", path: path, code: errno) }
        let temporary = "\(target).\(getpid()).new"
        unsafe unlink(temporary)
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode_t(0o600))
        guard descriptor >= 0 else { throw FileFailure("replace", path: path, code: errno) }
        defer { close(descriptor) }
        do throws(FileFailure) {
            // Only root may give a file away; for anyone else it is the same owner already.
            _ = fchown(descriptor, status.st_uid, status.st_gid)
            try write(bytes, to: descriptor, mode: status.st_mode & 0o7777, path: path)
            guard unsafe rename(temporary, target) == 0 else {
                throw FileFailure("replace", path: path, code: errno)
            }
        } catch {
            unsafe unlink(temporary)
            throw error
        }
        syncFolder(of: target)
    }

    /// Whether anyone but the owner may read it; `nil` if it can't be looked at.
    public static func isReadableByOthers(_ path: String) -> Bool? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        return status.st_mode & 0o044 != 0
    }

    /// Whether something of that name is there.
    public static func exists(_ path: String) -> Bool {
        var status = stat()
        return unsafe lstat(path, &status) == 0
    }

    /// Whether it is a file with a content, and no folder.
    public static func isFile(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Removes a file that this process has just made.
    public static func remove(_ path: String) { unsafe unlink(path) }

    /// Makes a folder for its owner alone, if it isn't there.
    public static func makePrivateFolder(_ path: String) throws(FileFailure) {
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw FileFailure("create", path: path, code: errno)
        }
    }

    /// The folder that a path is in: `.` for a bare name.
    public static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

extension TextFile {
    private static func read(_ descriptor: Int32, path: String) throws(FileFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { buffer in
                unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileFailure("read", path: path, code: errno) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= largest else { throw FileFailure("read", path: path, code: EFBIG) }
        }
    }

    private static func write(
        _ bytes: [UInt8], to descriptor: Int32, mode: UInt32, path: String
    ) throws(FileFailure) {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes[done...].withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress, buffer.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FileFailure("write", path: path, code: errno) }
            done += count
        }
        guard fchmod(descriptor, mode_t(mode)) == 0, fsync(descriptor) == 0 else {
            throw FileFailure("write", path: path, code: errno)
        }
    }

    private static func resolved(_ path: String) throws(FileFailure) -> String {
        guard let real = unsafe realpath(path, nil) else { throw FileFailure("replace", path: path, code: errno) }
        defer { unsafe free(real) }
        return unsafe String(cString: real)
    }

    private static func syncFolder(of path: String) {
        let descriptor = unsafe open(folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
}
