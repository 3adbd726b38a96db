import Glibc

/// Values that a page quotes: hexadecimal, in blocks of text, each behind its name.
enum Page {
    /// The values by their names; `path` is below the repository.
    static func values(of path: String) -> [String: String] {
        let root = #filePath.split(separator: "/").dropLast(4).reduce("") { "\($0)/\($1)" }
        var values: [String: String] = [:]
        var name = ""
        var isInside = false
        for line in text(of: "\(root)/\(path)").split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                isInside = line == "```text"
            } else if isInside, line.hasPrefix("    ") {
                values[name, default: ""] += line.dropFirst(4)
            } else if isInside, line.hasSuffix(":") {
                name = String(line.dropLast())
            }
        }
        return values
    }

    private static func text(of path: String) -> String {
        guard let file = unsafe fopen(path, "r") else { return "" }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk.prefix(count)
        }
    }
}
