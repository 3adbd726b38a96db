/// A step of a change to several files.
public enum FileChange: Sendable {
    /// A new file with these permission bits; an existing one is an error.
    case create(String, mode: UInt32, text: String)
    /// A new content for a file that is there.
    case replace(String, text: String)
    /// More behind the content of a file, of which every byte stays.
    case append(String, text: String)
}

extension TextFile {
    /// Makes the changes in this order, each in one step. When one fails, those before it are taken back and its failure is
    /// thrown: all or nothing, but for a crash between two.
    public static func change(_ changes: [FileChange]) throws(FileFailure) {
        var done: [Done] = []
        for change in changes {
            do throws(FileFailure) {
                done.append(try make(change))
            } catch {
                for step in done.reversed() { takeBack(step) }
                throw error
            }
        }
    }

    /// The changes that were made, and what takes them back.
    private enum Done {
        case created(String)
        case replaced(String, old: [UInt8])
    }

    private static func make(_ change: FileChange) throws(FileFailure) -> Done {
        switch change {
        case .create(let path, let mode, let text):
            try create(path, mode: mode, text: text)
            return .created(path)
        case .replace(let path, let text):
            let old = try readBytes(path)
            try replace(path, bytes: Array(text.utf8))
            return .replaced(path, old: old)
        case .append(let path, let text):
            let old = try readBytes(path)
            try replace(path, bytes: old + text.utf8)
            return .replaced(path, old: old)
        }
    }

    private static func takeBack(_ step: Done) {
        switch step {
        case .created(let path): remove(path)
        case .replaced(let path, let old): try? replace(path, bytes: old)
        }
    }
}
