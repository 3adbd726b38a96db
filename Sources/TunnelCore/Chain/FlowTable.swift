import Addresses

/// Which flows did not compress lately, and how long to leave them alone: exponential back-off as in RFC 3173 §2.2.
///
/// A fixed table that is indexed by a hash of the flow; two flows that meet in one entry share their luck. Nothing in it
/// ever grows.
struct FlowTable: ~Copyable {
    /// A flow's entry.
    struct Flow {
        fileprivate let entry: Int
    }

    private struct Entry {
        var flow: UInt32 = 0
        /// Packets that pass untried.
        var skip: UInt16 = 0
        /// How many to skip after the next failure, as a power of two.
        var backoff: UInt8 = 0
    }

    private static let size = 4096
    /// At most every 512th packet of a hopeless flow is tried.
    private static let longestBackoff: UInt8 = 9

    private var entries = ContiguousArray(repeating: Entry(), count: size)

    init() {}

    /// The entry for a packet's flow, if the packet may be tried; `nil` while the flow is left alone.
    @inline(__always)
    mutating func take(_ hash: UInt64) -> Flow? {
        let index = Int(truncatingIfNeeded: hash) & (Self.size - 1)
        let flow = UInt32(truncatingIfNeeded: hash >> 32)
        if entries[index].flow != flow { entries[index] = Entry(flow: flow) }
        guard entries[index].skip == 0 else {
            entries[index].skip -= 1
            return nil
        }
        return Flow(entry: index)
    }

    /// Says whether the packet that was tried got smaller.
    @inline(__always)
    mutating func note(_ gotSmaller: Bool, on flow: Flow) {
        if gotSmaller {
            entries[flow.entry].backoff = 0
        } else {
            let backoff = entries[flow.entry].backoff
            entries[flow.entry].skip = 1 << UInt16(backoff)
            entries[flow.entry].backoff = min(backoff + 1, Self.longestBackoff)
        }
    }
}
