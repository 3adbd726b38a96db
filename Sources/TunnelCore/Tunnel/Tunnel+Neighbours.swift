import Addresses
import BasicContainers

// ARP and neighbour discovery, answered here where the answer is known: the question need not go to all sites.

extension Tunnel {
    /// Whether questions are answered here.
    public var answersNeighbours: Bool {
        get { neighbours.isUsed }
        set { neighbours.use(newValue && mode != .packets) }
    }

    /// Learns from what a frame says, and answers what it asks; true if it was answered and need not go on.
    @inline(__always)
    mutating func heed(_ frame: RawSpan, _ header: EthernetFrame, from ingress: MACTable.Place) -> Bool {
        guard neighbours.isUsed else { return false }
        return heedMessage(frame, header, from: ingress)
    }

    @inline(never)
    private mutating func heedMessage(
        _ frame: RawSpan, _ header: EthernetFrame, from ingress: MACTable.Place
    ) -> Bool {
        guard let message = NeighbourMessage(frame, header) else { return false }
        let (vlans, now) = (header.vlans(frame), services.now.instant)
        if let told = message.told {
            let own = NeighbourTable.Neighbour(address: header.source, place: ingress, isRouter: message.isRouter)
            neighbours.learn(told, vlans: vlans, own, at: now)
        }
        guard let asked = message.asked, let found = neighbours.find(asked, vlans: vlans, at: now),
            let isRouter = found.isRouter, found.place != ingress, found.address != header.source,
            addresses.place(of: found.address, in: header, at: now) == found.place
        else { return false }
        let answer = NeighbourAnswer(question: header, asked: asked, address: found.address, isRouter: isRouter)
        guard send(answer, to: frame, at: found.place, for: ingress) else { return false }
        answeredNeighbours &+= 1
        return true
    }

    /// Sends an answer to where the question came from; false if there is no room.
    private mutating func send(
        _ answer: NeighbourAnswer, to question: RawSpan, at place: MACTable.Place, for ingress: MACTable.Place
    ) -> Bool {
        guard services.ingress.inbox.hasRoom else { return false }
        let written = services.ingress.inbox.decode(NeighbourAnswer.mostBytes) {
            answer.write(to: &$0, answering: question)
        }
        guard let written else { return false }
        switch ingress {
        case .here:
            let decoded = Inbox.Decoded(place: written, shape: MemberShape(layout: .none, segment: 0))
            return services.ingress.inbox.append(frame: decoded)
        case .peer(let slot):
            // The inbox keeps it where it is until it is cleared.
            let frame = unsafe _overrideLifetime(services.ingress.inbox.bytes(decoded: written), copying: ())
            guard let header = EthernetFrame(frame) else { return false }
            send(frame, header, to: slot, from: place)
            return true
        }
    }
}
