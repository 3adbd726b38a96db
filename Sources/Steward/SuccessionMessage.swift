/// What a running daemon and the process that is to take its place say to each other (docs/design/upgrade.md). Both are of their own
/// version: what is here is a contract like the config file.
public enum SuccessionMessage: Sendable, Equatable {
    // From the new process.
    /// It has read the file, gave up its rights and waits. Its version, and its number.
    case prepared(version: String, process: Int32)
    /// It has taken over all that there is, and waits for the word.
    case ready
    /// It reads and sends from now on.
    case running
    /// It can't take over: the exit code, and a line.
    case refused(Int32, String)
    /// It ended, to one that stayed.
    case ended(Int32)

    // From the old one.
    /// The descriptor that comes with this is that.
    case descriptor(Inheritance)
    /// All is said. The state is in the memory that was handed over.
    case handedOver
    /// The word. `stays`: the old process stays for the sake of its number, and passes signals on.
    case go(stays: Bool)
    /// It goes on itself.
    case abort
    /// A signal came.
    case signal(Int32)
}

/// What is handed over by descriptor.
public enum Inheritance: UInt8, Sendable, CaseIterable {
    case device = 1, v4, v6, retiredV4, retiredV6, uapi, control, metrics
    /// The channel to a process that stayed for the sake of its number.
    case keeper
    case memory
}

extension SuccessionMessage {
    private static let longestLine = 4096

    public var bytes: [UInt8] {
        var message = MessageWriter()
        switch self {
        case .prepared(let version, let process):
            message.append(UInt8(1))
            message.append(version)
            message.append(process)
        case .ready: message.append(UInt8(2))
        case .running: message.append(UInt8(3))
        case .refused(let status, let line):
            message.append(UInt8(4))
            message.append(status)
            message.append(String(decoding: line.utf8.prefix(Self.longestLine - 8), as: UTF8.self))
        case .ended(let status):
            message.append(UInt8(5))
            message.append(status)
        case .descriptor(let what):
            message.append(UInt8(20))
            message.append(what.rawValue)
        case .handedOver: message.append(UInt8(21))
        case .go(let stays):
            message.append(UInt8(22))
            message.append(stays)
        case .abort: message.append(UInt8(23))
        case .signal(let number):
            message.append(UInt8(24))
            message.append(number)
        }
        return message.bytes
    }

    /// `nil` if it is none.
    public init?(_ bytes: [UInt8]) {
        do throws(MessageReader.Malformed) { try self.init(reading: bytes) } catch { return nil }
    }

    private init(reading bytes: [UInt8]) throws(MessageReader.Malformed) {
        var message = MessageReader(bytes)
        switch try message.byte() {
        case 1:
            let version = try message.text(atMost: Self.longestLine)
            self = .prepared(version: version, process: try message.int32())
        case 2: self = .ready
        case 3: self = .running
        case 4:
            let status = try message.int32()
            self = .refused(status, try message.text(atMost: Self.longestLine))
        case 5: self = .ended(try message.int32())
        case 20:
            guard let what = Inheritance(rawValue: try message.byte()) else { throw MessageReader.Malformed() }
            self = .descriptor(what)
        case 21: self = .handedOver
        case 22: self = .go(stays: try message.bool())
        case 23: self = .abort
        case 24: self = .signal(try message.int32())
        default: throw MessageReader.Malformed()
        }
        try message.finish()
    }
}
