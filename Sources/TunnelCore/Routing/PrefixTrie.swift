/// A binary trie over prefixes, with paths compressed: every node is a prefix that holds a value or has two children.
/// Looking up costs at most one step per bit of the longest prefix stored. The prefixes of each value are also a list, in
/// the order in which they were given, so that listing or removing them costs nothing for those of others.
///
///                   10.0.0.0/8 → A
///                  /              \
///        10.1.0.0/16 → B      10.128.0.0/9 (branch)
///
/// `Bits` is an address as a number: `UInt32` or `UInt128`.
struct PrefixTrie<Bits: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
    private static var none: Int32 { -1 }

    private struct Node {
        var bits: Bits
        var length: Int
        /// -1 on a branch that is no prefix of anybody's.
        var value: Int32
        /// When it was given, by the caller's count.
        var sequence: UInt64
        var children: InlineArray<2, Int32>
        /// The neighbours in the list of the value, or -1.
        var previous: Int32 = -1
        var next: Int32 = -1
    }

    /// The ends of a value's list, or -1.
    private struct List {
        var first: Int32 = -1
        var last: Int32 = -1
    }

    private var nodes: ContiguousArray<Node> = []
    private var free: [Int32] = []
    private var root: Int32 = -1
    /// By value.
    private var lists: ContiguousArray<List> = []

    /// The value of the longest prefix that holds `address`, or -1.
    @inline(__always)
    func lookup(_ address: Bits) -> Int32 {
        var best = Self.none
        var current = root
        while current >= 0 {
            let node = nodes[Int(current)]
            guard Self.common(node.bits, address, limit: node.length) == node.length else { break }
            if node.value >= 0 { best = node.value }
            guard node.length < Bits.bitWidth else { break }
            current = node.children[Self.bit(of: address, at: node.length)]
        }
        return best
    }

    /// Gives the prefix to `value` (0 or more), whosever it was, as the last of its list; bits behind `length` must be
    /// zero, and `sequence` greater than any before.
    mutating func insert(_ bits: Bits, length: Int, _ value: Int32, sequence: UInt64) {
        var parent = Self.none
        var side = 0
        var current = root
        while current >= 0 {
            let node = nodes[Int(current)]
            let shared = Self.common(node.bits, bits, limit: min(node.length, length))
            if shared == node.length, shared == length {
                if node.value >= 0 { unlist(current) }
                return enlist(current, as: value, sequence: sequence)
            }
            guard shared == node.length else { break }
            parent = current
            side = Self.bit(of: bits, at: node.length)
            current = node.children[side]
        }
        let leaf = add(bits, length)
        enlist(leaf, as: value, sequence: sequence)
        guard current >= 0 else { return attach(leaf, under: parent, side) }

        // `current` and the new prefix part after `shared` bits.
        let other = nodes[Int(current)]
        let shared = Self.common(other.bits, bits, limit: min(other.length, length))
        if shared == length {
            nodes[Int(leaf)].children[Self.bit(of: other.bits, at: shared)] = current
            attach(leaf, under: parent, side)
        } else {
            let branch = add(bits & Self.mask(shared), shared)
            nodes[Int(branch)].children[Self.bit(of: bits, at: shared)] = leaf
            nodes[Int(branch)].children[Self.bit(of: other.bits, at: shared)] = current
            attach(branch, under: parent, side)
        }
    }

    /// Takes the prefix away from `value`; nothing happens if it is not that one's.
    mutating func remove(_ bits: Bits, length: Int, _ value: Int32) {
        var path: [(node: Int32, side: Int)] = []
        var current = root
        while current >= 0 {
            let node = nodes[Int(current)]
            if node.length == length, node.bits == bits {
                guard node.value == value else { return }
                unlist(current)
                return prune(current, path)
            }
            guard node.length < length, Self.common(node.bits, bits, limit: node.length) == node.length else { return }
            let side = Self.bit(of: bits, at: node.length)
            path.append((current, side))
            current = node.children[side]
        }
    }

    /// The first prefix of `value`.
    func first(of value: Int32) -> (bits: Bits, length: Int)? {
        guard Int(value) < lists.count, lists[Int(value)].first >= 0 else { return nil }
        let node = nodes[Int(lists[Int(value)].first)]
        return (node.bits, node.length)
    }

    /// Calls `body` with each prefix of `value`, in the order in which they were given.
    func forEach(of value: Int32, _ body: (_ bits: Bits, _ length: Int, _ sequence: UInt64) -> Void) {
        guard Int(value) < lists.count else { return }
        var current = lists[Int(value)].first
        while current >= 0 {
            let node = nodes[Int(current)]
            body(node.bits, node.length, node.sequence)
            current = node.next
        }
    }

    /// Gives a node that nobody has to `value`.
    private mutating func enlist(_ node: Int32, as value: Int32, sequence: UInt64) {
        while lists.count <= Int(value) { lists.append(List()) }
        let last = lists[Int(value)].last
        nodes[Int(node)].value = value
        nodes[Int(node)].sequence = sequence
        nodes[Int(node)].previous = last
        nodes[Int(node)].next = Self.none
        if last >= 0 { nodes[Int(last)].next = node } else { lists[Int(value)].first = node }
        lists[Int(value)].last = node
    }

    /// Takes a node out of its value's list.
    private mutating func unlist(_ node: Int32) {
        let value = Int(nodes[Int(node)].value)
        let (previous, next) = (nodes[Int(node)].previous, nodes[Int(node)].next)
        if previous >= 0 { nodes[Int(previous)].next = next } else { lists[value].first = next }
        if next >= 0 { nodes[Int(next)].previous = previous } else { lists[value].last = previous }
        nodes[Int(node)].value = Self.none
    }

    /// Removes nodes that hold nothing and part nothing, from `node` upwards.
    private mutating func prune(_ node: Int32, _ path: [(node: Int32, side: Int)]) {
        var node = node
        var path = path
        while nodes[Int(node)].value < 0 {
            let children = nodes[Int(node)].children
            guard children[0] < 0 || children[1] < 0 else { return }
            let child = max(children[0], children[1])
            let parent = path.popLast()
            attach(child, under: parent?.node ?? Self.none, parent?.side ?? 0)
            nodes[Int(node)].children = [-1, -1]
            free.append(node)
            guard child < 0, let parent else { return }
            node = parent.node
        }
    }

    private mutating func attach(_ node: Int32, under parent: Int32, _ side: Int) {
        if parent >= 0 { nodes[Int(parent)].children[side] = node } else { root = node }
    }

    private mutating func add(_ bits: Bits, _ length: Int) -> Int32 {
        let node = Node(bits: bits, length: length, value: Self.none, sequence: 0, children: [-1, -1])
        if let slot = free.popLast() {
            nodes[Int(slot)] = node
            return slot
        }
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    /// How many leading bits two addresses share, `limit` at most.
    @inline(__always)
    private static func common(_ a: Bits, _ b: Bits, limit: Int) -> Int { min((a ^ b).leadingZeroBitCount, limit) }

    /// The bit at `position`, counted from the most significant; 0 or 1.
    @inline(__always)
    private static func bit(of bits: Bits, at position: Int) -> Int {
        Int(truncatingIfNeeded: bits >> (Bits.bitWidth - 1 - position)) & 1
    }

    private static func mask(_ length: Int) -> Bits { length == 0 ? 0 : ~0 << (Bits.bitWidth - length) }
}
