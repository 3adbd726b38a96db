import CSodium
import Synchronization

/// 32 secret bytes in memory that is locked, left out of core dumps, and wiped when the last reference goes.
@safe
public final class Secret: @unchecked Sendable {
    private let base: UnsafeMutablePointer<UInt8>

    /// Copies `bytes` (exactly 32); the caller wipes its own copy.
    public init(copying bytes: Span<UInt8>) {
        precondition(bytes.count == 32)
        unsafe base = takeSlot()
        for index in 0..<32 { unsafe base[index] = bytes[index] }
    }

    deinit { unsafe giveBackSlot(base) }

    /// The bytes, for as long as the secret is held.
    public var bytes: Span<UInt8> {
        @_lifetime(borrow self) get {
            unsafe _overrideLifetime(Span(_unsafeStart: base, count: 32), borrowing: self)
        }
    }
}

// Slots of 32 bytes, cut from locked pages. Pages are added when all slots are taken and never given back: the number
// of secrets that a process holds at once is small. Addresses, since pointers can't stand in a `Mutex`.
private let freeSlots = Mutex<[UInt]>([])
private let pageSize = 4096

private func takeSlot() -> UnsafeMutablePointer<UInt8> {
    let address = freeSlots.withLock { free in
        if let slot = free.popLast() { return slot }
        // libsodium aborts if it hands out memory before it has set itself up; from the second call on it does nothing.
        precondition(sodium_init() >= 0, "the system has no source of randomness")
        guard let page = unsafe sodium_malloc(pageSize) else { fatalError("no memory for a secret") }
        let first = UInt(bitPattern: page)
        free.append(contentsOf: stride(from: first + 32, to: first + UInt(pageSize), by: 32))
        return first
    }
    guard let slot = unsafe UnsafeMutablePointer<UInt8>(bitPattern: address) else { fatalError("a slot is never nil") }
    return unsafe slot
}

private func giveBackSlot(_ slot: UnsafeMutablePointer<UInt8>) {
    unsafe sodium_memzero(slot, 32)
    freeSlots.withLock { $0.append(UInt(bitPattern: slot)) }
}
