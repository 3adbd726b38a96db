import Addresses
import Keys

@testable import TestKit
@testable import TunnelCore

/// The content of a state that a new process takes over, past its envelope. Whatever it says, it is refused or taken; what was taken
/// carries packets, and can be written and read once more.
///
/// Options: 0 the rest is the content; else it is changes to a real one, three bytes each: where, lowest byte first, and what is there.
enum StateTarget {
    static func run(_ input: inout FuzzInput) throws(Violation) {
        let options = input.options()
        let rest = input.rest()
        let fuzz = FuzzLink(.init(.auto), .init(.auto), .auto, merges: false)
        let now = fuzz.link.now(at: fuzz.alice)
        var content = options & 1 != 0 ? rest : try state(of: fuzz.alice, at: now)
        if options & 1 == 0, !content.isEmpty {
            for start in stride(from: 0, to: rest.count - 2, by: 3) {
                let place = (Int(rest[start]) | Int(rest[start + 1]) << 8) % content.count
                content[place] = rest[start + 2]
            }
        }
        guard let new = end(like: fuzz.alice, from: content, at: now) else { return }
        fuzz.link.replace(fuzz.alice, by: new)
        fuzz.link.send(udp(1, 2, text(300)), from: new)
        fuzz.link.send(udp(2, 1, text(300)), from: fuzz.bob)
        fuzz.link.run(for: .seconds(30))
        let later = fuzz.link.now(at: new)
        let again = try state(of: new, at: later)
        try require(end(like: new, from: again, at: later) != nil, "a state that was taken can't be taken again")
    }

    private static func end(like old: End, from content: [UInt8], at now: Now) -> End? {
        let new = End(old.key, old.endpoint, seed: 9)
        let isTaken = unsafe content.withUnsafeBytes { bytes in
            var reader = unsafe StateReader(bytes)
            do throws(StateProblem) {
                try new.tunnel.readState(&reader, at: now) { _ in nil }
                return true
            } catch {
                return false
            }
        }
        return isTaken ? new : nil
    }

    private static func state(of end: End, at now: Now) throws(Violation) -> [UInt8] {
        while end.tunnel.releaseHeld(at: now) { _ = end.driver.takeWrites() }
        var memory = [UInt8](repeating: 0, count: end.tunnel.largestState)
        var count = 0
        unsafe memory.withUnsafeMutableBytes { bytes in
            var writer = unsafe StateWriter(bytes)
            end.tunnel.writeState(to: &writer, [:], at: now)
            count = writer.isFull ? 0 : writer.count
        }
        try require(count > 0, "a state that is larger than it may be")
        return Array(memory.prefix(count))
    }

    static var seeds: [(name: String, bytes: [UInt8])] {
        [("as-it-is", [0]), ("two-changes", [0, 60, 0, 1, 200, 1, 7]), ("nothing", [1]), ("short", [1, 0, 0, 5])]
    }
}
