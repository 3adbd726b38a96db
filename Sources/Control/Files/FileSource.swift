/// Where a configuration's files are read.
public protocol FileSource {
    /// The whole file.
    func read(_ path: String) throws(FileFailure) -> String
    /// Whether anyone but its owner may read it; `nil` if it can't be looked at.
    func isReadableByOthers(_ path: String) -> Bool?
}

/// The files themselves.
public struct Disk: FileSource {
    public init() {}

    public func read(_ path: String) throws(FileFailure) -> String { try TextFile.read(path) }
    public func isReadableByOthers(_ path: String) -> Bool? { TextFile.isReadableByOthers(path) }
}

/// What was asked of a file, and the answer.
public struct FileRecord: Sendable, Equatable {
    public enum Answer: Sendable, Equatable {
        case content(String)
        /// `errno` of the attempt to read it.
        case failure(Int32)
        case isReadableByOthers(Bool?)
    }

    public let path: String
    public let answer: Answer

    public init(_ path: String, _ answer: Answer) {
        self.path = path
        self.answer = answer
    }
}

/// The files themselves, with a record of every answer.
public final class RecordingDisk: FileSource {
    public private(set) var records: [FileRecord] = []

    public init() {}

    public func read(_ path: String) throws(FileFailure) -> String {
        do throws(FileFailure) {
            let text = try TextFile.read(path)
            records.append(FileRecord(path, .content(text)))
            return text
        } catch {
            records.append(FileRecord(path, .failure(error.code)))
            throw error
        }
    }

    public func isReadableByOthers(_ path: String) -> Bool? {
        let answer = TextFile.isReadableByOthers(path)
        records.append(FileRecord(path, .isReadableByOthers(answer)))
        return answer
    }
}

/// Answers that were recorded elsewhere: whoever reads a configuration by them comes to the same result. What was not asked
/// there is a file that is not there.
public struct RecordedFiles: FileSource {
    private let records: [FileRecord]

    public init(_ records: [FileRecord]) { self.records = records }

    public func read(_ path: String) throws(FileFailure) -> String {
        for record in records where record.path == path {
            switch record.answer {
            case .content(let text): return text
            case .failure(let code): throw FileFailure("read", path: path, code: code)
            case .isReadableByOthers: break
            }
        }
        throw FileFailure("read", path: path, code: 2)
    }

    public func isReadableByOthers(_ path: String) -> Bool? {
        for record in records where record.path == path {
            if case .isReadableByOthers(let value) = record.answer { return value }
        }
        return nil
    }
}
