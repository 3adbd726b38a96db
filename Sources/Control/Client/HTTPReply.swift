/// An HTTP/1.1 reply (RFC 9112) from a server that was asked to close the connection after it.
struct HTTPReply: Equatable {
    let status: Int
    let body: [UInt8]

    /// The most that is taken, head and body together.
    static let largest = 64 << 20
    /// The most that the head may be.
    static let largestHead = 64 << 10

    struct Malformed: Error, Equatable {
        let reason: String
    }
}

extension HTTPReply {
    /// The status line and the headers, as far as they matter.
    struct Head: Equatable {
        var status: Int
        /// Where the body begins.
        var bodyStart: Int
        /// `nil` if the body ends with the stream.
        var contentLength: Int?
        var isChunked = false

        /// `nil` while the head is not complete.
        static func parse(_ bytes: [UInt8]) throws(Malformed) -> Head? {
            // Something else than a web server must not make us wait for its end.
            guard bytes.prefix(5).elementsEqual("HTTP/".utf8.prefix(bytes.count)) else {
                throw Malformed(reason: "no HTTP")
            }
            guard let end = Self.end(of: bytes) else {
                guard bytes.count <= HTTPReply.largestHead else { throw Malformed(reason: "headers without an end") }
                return nil
            }
            // Cut at the byte: nothing but a line feed ends a line (RFC 9112 §2.2).
            let lines = bytes[..<(end - 4)].split(separator: UInt8(ascii: "\n")).map {
                String(decoding: $0, as: UTF8.self).trimmed
            }
            guard let first = lines.first, first.hasPrefix("HTTP/1.") else { throw Malformed(reason: "no HTTP/1") }
            let words = first.split(separator: " ", maxSplits: 2)
            guard words.count >= 2, words[1].utf8.count == 3, let status = Int(decimal: words[1]) else {
                throw Malformed(reason: "no HTTP status")
            }
            var head = Head(status: status, bodyStart: end)
            for line in lines.dropFirst() { try head.take(line) }
            return head
        }

        private mutating func take(_ line: Substring) throws(Malformed) {
            guard let colon = line.firstIndex(of: ":") else { throw Malformed(reason: "a header without a colon") }
            let value = line[line.index(after: colon)...].trimmed
            switch line[..<colon].lowercased() {
            case "content-length":
                guard let length = Int(decimal: value), length <= HTTPReply.largest else {
                    throw Malformed(reason: "a body of \(Diagnostic.printable(value)) bytes")
                }
                contentLength = length
            case "transfer-encoding":
                guard value.lowercased() == "chunked" else { throw Malformed(reason: "an unknown transfer encoding") }
                isChunked = true
            default: break
            }
        }

        /// Where the empty line ends.
        private static func end(of bytes: [UInt8]) -> Int? {
            let limit = min(bytes.count, HTTPReply.largestHead)
            guard limit >= 4 else { return nil }
            for index in 3..<limit
            where bytes[index] == 10 && bytes[index - 1] == 13 && bytes[index - 2] == 10 && bytes[index - 3] == 13 {
                return index + 1
            }
            return nil
        }
    }

    /// The reply, if `bytes` hold all of it; `nil` if more must come.
    /// - Parameter atEnd: the stream has ended, so nothing will.
    static func parse(_ bytes: [UInt8], head: Head, atEnd: Bool) throws(Malformed) -> HTTPReply? {
        if head.isChunked {
            // A server that closes after the reply spares us to look for the last chunk each time.
            guard atEnd else { return nil }
            return HTTPReply(status: head.status, body: try unchunk(bytes[head.bodyStart...]))
        }
        guard let length = head.contentLength else {
            return atEnd ? HTTPReply(status: head.status, body: Array(bytes[head.bodyStart...])) : nil
        }
        guard bytes.count - head.bodyStart >= length else {
            if atEnd { throw Malformed(reason: "it is cut off") }
            return nil
        }
        return HTTPReply(status: head.status, body: Array(bytes[head.bodyStart...].prefix(length)))
    }

    /// Joins the chunks (RFC 9112 §7.1).
    static func unchunk(_ bytes: ArraySlice<UInt8>) throws(Malformed) -> [UInt8] {
        var body: [UInt8] = []
        var rest = bytes
        while true {
            guard let lineEnd = rest.firstIndex(of: 10) else { throw Malformed(reason: "it is cut off") }
            let line = String(decoding: rest[..<lineEnd], as: UTF8.self)
            let digits = line.prefix { $0 != ";" && !$0.isWhitespace }
            guard digits.utf8.count <= 8, digits.first != "+", let size = Int(digits, radix: 16), size >= 0 else {
                throw Malformed(reason: "a chunk without a size")
            }
            if size == 0 { return body }
            rest = rest[(lineEnd + 1)...]
            guard rest.count >= size + 2 else { throw Malformed(reason: "it is cut off") }
            body += rest.prefix(size)
            rest = rest.dropFirst(size + 2)
        }
    }
}
