import Addresses

/// The only sources of frames that are believed of a peer.
struct AllowedMACs: Equatable {
    /// In order; `nil`: any.
    private let sources: ContiguousArray<UInt64>?

    init(_ sources: [MACAddress]?) {
        self.sources = sources.map { ContiguousArray($0.map(\.bits).sorted()) }
    }

    @inline(__always)
    func contains(_ source: MACAddress) -> Bool {
        guard let sources else { return true }
        var (low, high) = (0, sources.count)
        while low < high {
            let middle = (low + high) / 2
            if sources[middle] < source.bits { low = middle + 1 } else { high = middle }
        }
        return low < sources.count && sources[low] == source.bits
    }
}
