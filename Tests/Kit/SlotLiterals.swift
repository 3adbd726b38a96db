@testable public import TunnelCore

// Numbers in the place of slots and indices, as tests of tables have them.

extension PeerSlot: ExpressibleByIntegerLiteral {
    public init(integerLiteral number: Int32) { self.init(number) }
}

extension SessionSlot: ExpressibleByIntegerLiteral {
    public init(integerLiteral number: Int32) { self.init(number) }
}

extension ReceiverIndex: ExpressibleByIntegerLiteral {
    public init(integerLiteral number: UInt32) { self.init(rawValue: number) }
}
