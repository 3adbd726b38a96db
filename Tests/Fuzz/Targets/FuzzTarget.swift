/// A parser that sees bytes from outside, and what must hold whatever they are.
public enum FuzzTarget: String, CaseIterable, Sendable {
    /// Payloads that a peer with our trust has sealed.
    case payload
    /// Packets gathered into units and bundles, which must come out as they were.
    case members
    /// Datagrams of anybody.
    case datagram
    /// Reads of a TUN.
    case frame
    /// Ethernet frames, of a TAP and of a peer.
    case ethernet
    /// Texts and files: config, UAPI, HTTP, JSON, captures.
    case text
    /// What a new process takes over from the one that it replaces.
    case state

    /// Does with an input what the fuzzer does.
    public func run(_ input: [UInt8]) throws(Violation) {
        var input = FuzzInput(input)
        switch self {
        case .payload: try PayloadTarget(&input).run(&input)
        case .members: try MembersTarget(&input).run(&input)
        case .datagram: try DatagramTarget(&input).run(&input)
        case .frame: try FrameTarget(&input).run(&input)
        case .ethernet: try EthernetTarget(&input).run(&input)
        case .text: try TextTarget.run(&input)
        case .state: try StateTarget.run(&input)
        }
    }

    /// Inputs to begin with, made of what two gateways say to each other.
    public var seeds: [(name: String, bytes: [UInt8])] {
        switch self {
        case .payload: PayloadTarget.seeds
        case .members: MembersTarget.seeds
        case .datagram: DatagramTarget.seeds
        case .frame: FrameTarget.seeds
        case .ethernet: EthernetTarget.seeds
        case .text: TextTarget.seeds
        case .state: StateTarget.seeds
        }
    }
}

/// What should have held and did not.
public struct Violation: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Throws a violation unless `condition` holds.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(Violation) {
    guard condition else { throw Violation(message()) }
}
