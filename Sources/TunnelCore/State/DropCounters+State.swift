// What a new process takes over. A later version may have more reasons.
extension DropCounters {
    func write(to state: inout StateWriter) {
        state.put(UInt32(counts.count))
        for index in counts.indices { state.put(counts[index]) }
    }

    init(_ state: inout StateReader) throws(StateProblem) {
        var counts = DropCounters().counts
        let count = try state.count(eachAtLeast: 8)
        guard count <= counts.count else { throw .implausible("reasons for drops") }
        for index in 0..<count { counts[index] = try state.number() }
        self.init(counts)
    }
}
