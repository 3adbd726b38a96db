import FuzzTargets
import Glibc
import Testing

@Suite struct CorpusTests {
    @Test("every input that is kept does no harm", arguments: FuzzTarget.allCases)
    func corpus(target: FuzzTarget) throws {
        let directory = Self.root + "/Corpus/" + target.rawValue
        let names = Self.files(in: directory)
        #expect(!names.isEmpty)
        for name in names {
            do throws(Violation) {
                try target.run(Self.read("\(directory)/\(name)"))
            } catch {
                Issue.record("\(target) \(name): \(error)")
            }
        }
    }

    @Test("the seeds do no harm", arguments: FuzzTarget.allCases)
    func seeds(target: FuzzTarget) throws {
        for (_, bytes) in target.seeds { try target.run(bytes) }
    }

    /// Tests/Fuzz.
    private static var root: String {
        #filePath.split(separator: "/").dropLast(2).reduce("") { "\($0)/\($1)" }
    }

    private static func files(in directory: String) -> [String] {
        guard let handle = unsafe opendir(directory) else { return [] }
        defer { unsafe closedir(handle) }
        var names: [String] = []
        while let entry = unsafe readdir(handle) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    private static func read(_ path: String) -> [UInt8] {
        guard let file = unsafe fopen(path, "r") else { return [] }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { return bytes }
            bytes += chunk.prefix(count)
        }
    }
}
