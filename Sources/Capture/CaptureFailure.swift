/// Why a capture can't be read.
public enum CaptureFailure: Error, Hashable, Sendable {
    /// The system would not: `errno`.
    case system(Int32)
    /// It isn't what it should be; from which byte on, and what is wrong there.
    case malformed(at: UInt64, String)
}
