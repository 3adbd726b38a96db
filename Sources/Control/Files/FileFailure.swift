import Glibc

/// A file that couldn't be read or written, with the system's reason.
public struct FileFailure: Error, Hashable, Sendable {
    /// The attempt, as a person says it: `read`, `create`, `replace`.
    public let operation: String
    public let path: String
    /// `errno` of the failed call.
    public let code: Int32

    public init(_ operation: String, path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    public var exitStatus: ExitStatus {
        switch code {
        case EACCES, EPERM, EROFS: .permission
        case ENOENT where operation == "read": .missingInput
        case EFBIG: .data
        case EEXIST, ENOENT, ENOTDIR, ENOSPC: .cantCreate
        default: .inputOutput
        }
    }
}

extension FileFailure: CustomStringConvertible {
    /// One line: what, where, why, and where it is known what to do.
    public var description: String {
        let cure =
            switch code {
            case EEXIST: "; it is never overwritten: choose another name or move it away"
            case EACCES, EPERM: "; run as root or as the file's owner"
            case ENOENT where operation == "read": "; check the path"
            case EFBIG: "; more than 1 MB is no such file"
            default: ""
            }
        return "can't \(operation) \(Diagnostic.printable(path)): \(Self.reason(code))\(cure)"
    }

    /// The system's words for an error number.
    static func reason(_ code: Int32) -> String {
        guard let text = unsafe strerror(code) else { return "error \(code)" }
        return unsafe String(cString: text)
    }
}
