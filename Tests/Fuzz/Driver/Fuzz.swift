import FuzzTargets
import Glibc

// LLVM's fuzzer, without the main function that it would bring.

@main
struct Fuzz {
    /// What `FUZZ_TARGET` names.
    fileprivate static let target = environment("FUZZ_TARGET").flatMap(FuzzTarget.init(rawValue:))

    static func main() {
        guard let target else {
            print("FUZZ_TARGET: one of", FuzzTarget.allCases.map(\.rawValue).joined(separator: ", "))
            exit(EX_USAGE)
        }
        if let directory = environment("FUZZ_SEEDS") { return writeSeeds(of: target, to: directory) }
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
        exit(unsafe LLVMFuzzerRunDriver(&count, &arguments, testOneInput))
    }

    private static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    private static func writeSeeds(of target: FuzzTarget, to directory: String) {
        for (name, bytes) in target.seeds {
            guard let file = unsafe fopen("\(directory)/\(name)", "w") else { fatalError("\(directory)/\(name)") }
            unsafe fwrite(bytes, 1, bytes.count, file)
            unsafe fclose(file)
        }
    }
}

private typealias TestOneInput = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt

@_silgen_name("LLVMFuzzerRunDriver")
private func LLVMFuzzerRunDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>, _ test: TestOneInput
) -> CInt

/// One input; a violation ends the process, so that the input is kept.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    do throws(Violation) {
        try Fuzz.target?.run(input)
    } catch {
        fatalError(error.description)
    }
    return 0
}
