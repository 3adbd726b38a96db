import Control
import LinuxIO
import Synchronization

/// The last of what happened, for `GET /v1/events`. Any thread appends, with a lock that is held for as long as it takes to put
/// one into its place.
final class EventHistory: Sendable {
    /// Events that are kept.
    static let capacity = 10_000

    private struct State {
        /// A ring once it is full: the event with number `id` is at `(id - first) % capacity`.
        var events: [GatewayEvent] = []
        var next: UInt64 = 0
        /// The number of the first that this process had.
        var first: UInt64 = 0
        /// Those who wait for the next: each is called once.
        var waiting: [ObjectIdentifier: @Sendable () -> Void] = [:]

        mutating func append(_ event: GatewayEvent) {
            let place = place(of: next)
            if place < events.count { events[place] = event } else { events.append(event) }
            next += 1
        }

        func place(of id: UInt64) -> Int { Int((id - first) % UInt64(EventHistory.capacity)) }
    }

    private let state = Mutex(State())

    /// Gives it its number and the time, and appends it.
    func append(_ event: GatewayEvent) {
        let now = wallClock()
        let waiting = state.withLock { state in
            var event = event
            event.id = state.next
            event.time = Double(now.seconds) + Double(now.nanoseconds / 1_000_000) / 1000
            state.append(event)
            guard !state.waiting.isEmpty else { return [(@Sendable () -> Void)]() }
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for wake in waiting { wake() }
    }

    /// Goes on with the numbers of a process before; what it had is not there.
    func begin(at number: UInt64) {
        state.withLock { state in
            guard number > state.next else { return }
            let kept = state.events.enumerated().map { place, event in
                var event = event
                event.id = number + UInt64(place)
                return event
            }
            state.events = []
            state.next = number
            state.first = number
            for event in kept { state.append(event) }
        }
    }

    /// The number that the next event will have.
    var next: UInt64 { state.withLock { $0.next } }

    /// At most `count` events from number `since` on, the oldest first; without it the last ones.
    func page(since: UInt64?, atMost count: Int) -> EventPage {
        state.withLock { state in
            let oldest = state.next - UInt64(state.events.count)
            let asked = min(since ?? (state.next - min(UInt64(count), state.next)), state.next)
            let first = max(asked, oldest)
            let end = min(first + UInt64(count), state.next)
            let events = (first..<end).map { state.events[state.place(of: $0)] }
            return EventPage(events: events, next: end, lost: since == nil ? 0 : first - asked)
        }
    }

    /// Calls `wake` once when there is something from number `since` on, which may be at once.
    func whenAny(since: UInt64, for owner: ObjectIdentifier, _ wake: @escaping @Sendable () -> Void) {
        let isThere = state.withLock { state in
            if state.next > since { return true }
            state.waiting[owner] = wake
            return false
        }
        if isThere { wake() }
    }

    /// Calls it no more.
    func forget(_ owner: ObjectIdentifier) { state.withLock { _ = $0.waiting.removeValue(forKey: owner) } }
}
