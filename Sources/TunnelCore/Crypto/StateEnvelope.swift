/// What stands around a state: what it is, its version, its length, and a hash of all that, so that what is of another version, cut
/// off or damaged is refused before anything of it is looked at (docs/design/upgrade.md).
///
///     0   8 bytes    "gwstate" and a zero
///     8   4          version
///     12  4          zero
///     16  8          length of the content
///     24  32         BLAKE2s of the 24 bytes before and the content
///     56             the content
public enum StateEnvelope {
    /// The version that this program writes.
    public static let version: UInt32 = 2
    /// The versions that it reads: in 1 there are no agreed keys yet.
    public static let readable: ClosedRange<UInt32> = 1...2
    /// Bytes before the content.
    public static let size = 56

    private static let magic = Array("gwstate\0".utf8)
    private static let hashed = 24

    /// Puts an envelope around what `body` writes into the memory; how long both are, or `nil` if there was no room.
    @unsafe
    public static func wrap(
        into space: UnsafeMutableRawBufferPointer, _ body: (inout StateWriter) -> Void
    ) -> Int? {
        guard space.count >= size else { return nil }
        var content = unsafe StateWriter(UnsafeMutableRawBufferPointer(rebasing: space[size...]))
        body(&content)
        guard !content.isFull else { return nil }
        var head = unsafe StateWriter(UnsafeMutableRawBufferPointer(rebasing: space[..<size]))
        head.put(magic.span)
        head.put(version)
        head.put(0 as UInt32)
        head.put(UInt64(content.count))
        let end = size + content.count
        head.put(unsafe hash(of: UnsafeRawBufferPointer(rebasing: space[..<end])).span)
        return end
    }

    /// The content of an envelope, which lies in the same memory; there may be more memory behind it.
    @unsafe
    public static func unwrap(_ bytes: UnsafeRawBufferPointer) throws(StateProblem) -> UnsafeRawBufferPointer {
        var head = unsafe StateReader(UnsafeRawBufferPointer(rebasing: bytes.prefix(size)))
        let magic: InlineArray<8, UInt8> = try head.array()
        guard magic.indices.allSatisfy({ magic[$0] == Self.magic[$0] }) else { throw .foreign }
        let version = try head.number(UInt32.self)
        guard readable.contains(version) else { throw .version(version) }
        let reserved = try head.number(UInt32.self)
        let length = try head.number(UInt64.self)
        let digest: Bytes32 = try head.array()
        guard length <= UInt64(bytes.count - size) else { throw .cutOff }
        let end = size + Int(length)
        let expected = unsafe hash(of: UnsafeRawBufferPointer(rebasing: bytes[..<end]))
        guard reserved == 0, Primitive.equal(digest.span, expected.span) else { throw .damaged }
        return unsafe UnsafeRawBufferPointer(rebasing: bytes[size..<end])
    }

    /// The version of an envelope that was unwrapped.
    @unsafe
    public static func version(of bytes: UnsafeRawBufferPointer) throws(StateProblem) -> UInt32 {
        var head = unsafe StateReader(UnsafeRawBufferPointer(rebasing: bytes.prefix(size)))
        let _: InlineArray<8, UInt8> = try head.array()
        return try head.number()
    }

    private static func hash(of bytes: UnsafeRawBufferPointer) -> Bytes32 {
        let all = unsafe bytes.assumingMemoryBound(to: UInt8.self)
        let head = unsafe UnsafeBufferPointer(rebasing: all[..<hashed])
        let content = unsafe UnsafeBufferPointer(rebasing: all[size...])
        return unsafe Blake2s.hash(head.span, content.span)
    }
}
