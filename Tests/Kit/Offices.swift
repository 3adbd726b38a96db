import Addresses

@testable import TunnelCore

/// Gateways that join Ethernets: alice in the middle, and bob and carol, who know nobody but her.
///
///     bob 192.0.2.2 ══════ 192.0.2.1 alice 192.0.2.1 ══════ 192.0.2.3 carol
struct Offices {
    let pair: Pair
    let carol: End

    var link: Link { pair.link }
    var alice: End { pair.alice }
    var bob: End { pair.bob }

    init(hub isHub: Bool = false, _ compression: CompressionPolicy = .off, packs: Bool = false, history: Bool = false) {
        var leaf = Pair.Options(compression: compression, mode: .frames(isHub: false), history: history)
        leaf.packs = packs
        var middle = leaf
        middle.mode = .frames(isHub: isHub)
        pair = Pair(alice: middle, bob: leaf)
        carol = End(privateKey(3), site(3).endpoint, seed: 3, mode: leaf.mode)
        link.add(carol)
        pair.introduce(carol, site(3), to: alice, middle)
        pair.introduce(alice, site(1), to: carol, leaf)
        // To everybody: all sessions are made, and alice learns nothing.
        pair.connect()
        forget()
    }

    /// Lets a host show itself: it sends a frame to everybody from its gateway.
    func show(_ host: MACAddress, from end: End) {
        link.send(ethernet: [ethernet(host, .everybody, text(46))], from: end)
        link.drain()
        forget()
    }

    /// What all devices get of a frame that the device of an end sends, by name.
    func deliveries(of frame: [UInt8], from end: End) -> [String] {
        forget()
        link.send(ethernet: [frame], from: end)
        link.drain()
        return [("alice", alice), ("bob", bob), ("carol", carol)].flatMap { name, end in
            end.received.map { $0 == frame ? name : "\(name), something else" }
        }
    }

    func forget() {
        pair.forget()
        carol.received = []
    }
}
