import Synchronization

/// A field that says of the type it stands in: values of it stay where they are, and are lent by their address.
///
/// The compiler otherwise takes a large struct for something to load: where one is lent to a function, even if it cannot be copied, all its
/// bytes are copied to the stack first, thousands of them for each packet. A struct with an atomic in it has no other representation than
/// its memory.
@usableFromInline
struct InPlace: ~Copyable {
    private let anchor = Atomic<UInt8>(0)

    @inline(__always)
    init() {}
}
