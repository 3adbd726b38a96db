import CSodium
import Synchronization

/// 32 secret bytes in memory that is locked, left out of core dumps, and wiped when the last reference goes.
///
/// The bytes never leave by value except through the coders, which say so.
final class Secret: Sendable {
    private let slot: SecretMemory.Slot

    /// Copies `bytes` (exactly 32); the caller wipes its own copy.
    init(copying bytes: Span<UInt8>) {
        precondition(bytes.count == 32)
        slot = SecretMemory.shared.take()
        unsafe slot.base.withMemoryRebound(to: UInt8.self, capacity: 32) { base in
            for index in 0..<32 { unsafe base[index] = bytes[index] }
        }
    }

    deinit { SecretMemory.shared.giveBack(slot) }

    /// Lends the bytes for the time of `body`.
    func withBytes<Result: ~Copyable, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(unsafe Span(_unsafeStart: slot.base.assumingMemoryBound(to: UInt8.self), count: 32))
    }
}

/// Locked pages, cut into slots of 32 bytes. They grow by a page when all slots are taken and are never given back:
/// the number of secrets that a process holds at once is small.
private final class SecretMemory: Sendable {
    static let shared = SecretMemory()

    @safe struct Slot: @unchecked Sendable {
        let base: UnsafeMutableRawPointer
    }

    private let free = Mutex<[Slot]>([])

    func take() -> Slot {
        free.withLock { free in
            if let slot = free.popLast() { return slot }
            guard let page = unsafe csodium_secret_memory(4096) else { fatalError("no memory for a secret") }
            for offset in stride(from: 32, to: 4096, by: 32) { free.append(unsafe Slot(base: page + offset)) }
            return unsafe Slot(base: page)
        }
    }

    func giveBack(_ slot: Slot) {
        unsafe slot.base.initializeMemory(as: UInt8.self, repeating: 0, count: 32)
        free.withLock { $0.append(slot) }
    }
}
