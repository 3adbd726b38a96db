/// A binary trie over prefixes, with paths compressed: every node is a prefix that holds a value or has two children.
/// Looking up costs at most one step per bit of the longest prefix stored.
///
///                   10.0.0.0/8 → A
///                  /              \
///        10.1.0.0/16 → B      10.128.0.0/9 (branch)
///
/// `Bits` is an address as a number: `UInt32` or `UInt128`.
struct PrefixTrie<Bits: FixedWidthInteger & UnsignedInteger & Sendable> {
    private static var none: Int32 { -1 }

    private struct Node {
        var bits: Bits
        var length: Int
        /// -1 on a branch that is no prefix of anybody's.
        var value: Int32
        /// When it was inserted, so that lists keep the order in which they were given.
        var sequence: UInt32
        var children: InlineArray<2, Int32>
    }

    private var nodes: ContiguousArray<Node> = []
    private var free: [Int32] = []
    private var root: Int32 = -1
    private var nextSequence: UInt32 = 0

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

    /// Gives the prefix to `value` (0 or more), whosever it was; bits behind `length` must be zero.
    mutating func insert(_ bits: Bits, length: Int, _ value: Int32) {
        nextSequence &+= 1
        var parent = Self.none
        var side = 0
        var current = root
        while current >= 0 {
            let node = nodes[Int(current)]
            let shared = Self.common(node.bits, bits, limit: min(node.length, length))
            if shared == node.length, shared == length {
                if node.value != value {
                    nodes[Int(current)].value = value
                    nodes[Int(current)].sequence = nextSequence
                }
                return
            }
            guard shared == node.length else { break }
            parent = current
            side = Self.bit(of: bits, at: node.length)
            current = node.children[side]
        }
        let leaf = add(bits, length, value)
        guard current >= 0 else { return link(leaf, under: parent, side) }

        // `current` and the new prefix part after `shared` bits.
        let other = nodes[Int(current)]
        let shared = Self.common(other.bits, bits, limit: min(other.length, length))
        if shared == length {
            nodes[Int(leaf)].children[Self.bit(of: other.bits, at: shared)] = current
            link(leaf, under: parent, side)
        } else {
            let branch = add(bits & Self.mask(shared), shared, Self.none)
            nodes[Int(branch)].children[Self.bit(of: bits, at: shared)] = leaf
            nodes[Int(branch)].children[Self.bit(of: other.bits, at: shared)] = current
            link(branch, under: parent, side)
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
                nodes[Int(current)].value = Self.none
                return prune(current, path)
            }
            guard node.length < length, Self.common(node.bits, bits, limit: node.length) == node.length else { return }
            let side = Self.bit(of: bits, at: node.length)
            path.append((current, side))
            current = node.children[side]
        }
    }

    /// All prefixes with their values, in the order in which they were inserted.
    func all() -> [(bits: Bits, length: Int, value: Int32)] {
        nodes.filter { $0.value >= 0 }.sorted { $0.sequence < $1.sequence }.map { ($0.bits, $0.length, $0.value) }
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
            link(child, under: parent?.node ?? Self.none, parent?.side ?? 0)
            nodes[Int(node)].value = Self.none
            nodes[Int(node)].children = [-1, -1]
            free.append(node)
            guard child < 0, let parent else { return }
            node = parent.node
        }
    }

    private mutating func link(_ node: Int32, under parent: Int32, _ side: Int) {
        if parent >= 0 { nodes[Int(parent)].children[side] = node } else { root = node }
    }

    private mutating func add(_ bits: Bits, _ length: Int, _ value: Int32) -> Int32 {
        let node = Node(bits: bits, length: length, value: value, sequence: nextSequence, children: [-1, -1])
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
