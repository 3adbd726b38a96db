public import Addresses
public import Control

/// What the steward answers.
public enum StewardReply: Sendable {
    /// It is done; a descriptor that was asked for comes with this.
    case done
    case answer(Bool)
    /// Not understood, or none of this channel's affairs.
    case refused
    /// The system refused it: what was tried, and the errno.
    case failed(String, Int32)
    /// The commands ended, the last of them with this failure.
    case hooksEnded(String?)
    case files([FileRecord])
    case fileFailed(FileFailure)
    case endpoint(Endpoint)
    /// Why a name has no address.
    case noAddress(String)
    case program(ProgramOutcome)
    /// Why no other process takes the daemon's place.
    case noSuccessor(String)
}

/// What became of a program that was run to its end.
public enum ProgramOutcome: Equatable, Sendable {
    /// There is no such program, or it can't be run.
    case missing
    /// Its exit status, or 128 and the signal that ended it, and the first line it wrote.
    case ended(Int32, said: String)
}

extension StewardReply {
    private static let longestText = 64 << 10

    var bytes: [UInt8] {
        var message = MessageWriter()
        switch self {
        case .done: message.append(UInt8(1))
        case .answer(let value):
            message.append(UInt8(2))
            message.append(value)
        case .refused: message.append(UInt8(3))
        case .failed(let attempt, let number):
            message.append(UInt8(4))
            message.append(Self.cut(attempt))
            message.append(number)
        case .hooksEnded(let failure):
            message.append(UInt8(5))
            message.append(failure.map(Self.cut)) { $0.append($1) }
        case .files(let records):
            message.append(UInt8(6))
            message.append(records) { $0.append($1) }
        case .fileFailed(let failure):
            message.append(UInt8(7))
            message.append(failure.operation)
            message.append(Self.cut(failure.path))
            message.append(failure.code)
        case .endpoint(let endpoint):
            message.append(UInt8(8))
            message.append(endpoint)
        case .noAddress(let reason):
            message.append(UInt8(9))
            message.append(Self.cut(reason))
        case .program(.missing): message.append(UInt8(10))
        case .program(.ended(let status, let said)):
            message.append(UInt8(11))
            message.append(status)
            message.append(Self.cut(said))
        case .noSuccessor(let reason):
            message.append(UInt8(12))
            message.append(Self.cut(reason))
        }
        return message.bytes
    }

    init(_ bytes: [UInt8]) throws(MessageReader.Malformed) {
        var message = MessageReader(bytes)
        switch try message.byte() {
        case 1: self = .done
        case 2: self = .answer(try message.bool())
        case 3: self = .refused
        case 4:
            let attempt = try message.line()
            self = .failed(attempt, try message.int32())
        case 5:
            self = .hooksEnded(
                try message.optional { message throws(MessageReader.Malformed) in try message.line() })
        case 6:
            self = .files(
                try message.list(atMost: 16) { message throws(MessageReader.Malformed) in try message.fileRecord() })
        case 7:
            let operation = try message.line()
            let path = try message.line()
            self = .fileFailed(FileFailure(operation, path: path, code: try message.int32()))
        case 8: self = .endpoint(try message.endpoint())
        case 9: self = .noAddress(try message.line())
        case 10: self = .program(.missing)
        case 11:
            let status = try message.int32()
            self = .program(.ended(status, said: try message.line()))
        case 12: self = .noSuccessor(try message.line())
        default: throw MessageReader.Malformed()
        }
        try message.finish()
    }

    private static func cut(_ text: String) -> String {
        text.utf8.count <= longestText ? text : String(decoding: text.utf8.prefix(longestText - 8), as: UTF8.self)
    }
}

extension MessageWriter {
    fileprivate mutating func append(_ record: FileRecord) {
        append(record.path)
        switch record.answer {
        case .content(let text):
            append(UInt8(1))
            append(text)
        case .failure(let code):
            append(UInt8(2))
            append(code)
        case .isReadableByOthers(let value):
            append(UInt8(3))
            append(value) { $0.append($1) }
        }
    }
}

extension MessageReader {
    fileprivate mutating func line() throws(Malformed) -> String { try text(atMost: 64 << 10) }

    fileprivate mutating func fileRecord() throws(Malformed) -> FileRecord {
        let path = try text(atMost: 4096)
        switch try byte() {
        case 1: return FileRecord(path, .content(try text(atMost: 3 << 20)))
        case 2: return FileRecord(path, .failure(try int32()))
        case 3:
            return FileRecord(
                path, .isReadableByOthers(try optional { message throws(Malformed) in try message.bool() }))
        default: throw Malformed()
        }
    }
}
