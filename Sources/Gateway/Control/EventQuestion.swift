import Control
import NIOHTTP1

/// Which events a client wants: `GET /v1/events?since=…&limit=…&peer=…&kind=…`.
struct EventQuestion: Sendable {
    /// Events that are taken from the history at a time: whoever appends waits no longer than that takes.
    static let portion = 256

    /// The number of the first; `nil`: the last ones, or, for who follows, what comes.
    var since: UInt64?
    var limit = 1000
    var peer: String?
    /// The kinds that are wanted; `nil`: all.
    var kinds: Set<String>?
    let follows: Bool

    /// The last ones of some kinds.
    init(telling kinds: Set<String>, limit: Int) {
        self.kinds = kinds
        self.limit = limit
        follows = false
    }

    /// `nil` if a number is none.
    init?(_ target: ControlTarget, follows: Bool) {
        guard !target.isMalformed else { return nil }
        if let text = target["since"] {
            guard let number = UInt64(digits: text) else { return nil }
            since = number
        }
        if let text = target["limit"] {
            guard let number = UInt64(digits: text), number <= EventHistory.capacity else { return nil }
            limit = Int(number)
        }
        peer = target["peer"]
        kinds = target["kind"].map { [$0] }
        self.follows = follows || target["follow"] != nil
    }

    /// Whether an event is wanted.
    func admits(_ event: GatewayEvent) -> Bool {
        (kinds?.contains(event.kind) ?? true) && (peer.map { event.isAbout($0) } ?? true)
    }

    /// What is wanted of the history.
    func page(of history: EventHistory) -> EventPage {
        var page = EventPage(
            events: [], next: since ?? history.next - min(history.next, UInt64(EventHistory.capacity)), lost: 0)
        let end = history.next
        while page.next < end, since == nil || page.events.count < limit {
            let part = history.page(since: page.next, atMost: Self.portion)
            page.lost += part.lost
            page.next = part.next
            page.events += part.events.filter { admits($0) }
        }
        if since == nil {
            page.events.removeFirst(max(page.events.count - limit, 0))
            page.lost = 0
        } else if page.events.count > limit {
            page.next = page.events[limit].id
            page.events.removeLast(page.events.count - limit)
        }
        if let since, since > end { page.next = end }
        return page
    }
}

extension UInt64 {
    /// Digits and nothing else.
    fileprivate init?(digits text: String) {
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        self.init(text)
    }
}
