public import Addresses
public import CTun

extension ctun_address {
    @inlinable public init(_ address: IPAddress, port: UInt16 = 0, scope: UInt32 = 0) {
        switch address {
        case .v4(let bits):
            self.init(high: 0, low: UInt64(bits), scope: scope, port: port, family: 4)
        case .v6(let bits):
            self.init(
                high: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits), scope: scope,
                port: port, family: 6)
        }
    }

    @inlinable public init(_ endpoint: Endpoint) {
        self.init(endpoint.address, port: endpoint.port, scope: endpoint.scope)
    }

    /// `nil` if it holds none.
    @inlinable public var address: IPAddress? {
        switch family {
        case 4: .v4(UInt32(truncatingIfNeeded: low))
        case 6: .v6(UInt128(high) << 64 | UInt128(low))
        default: nil
        }
    }

    /// `nil` if it holds none.
    @inlinable public var endpoint: Endpoint? {
        guard let address else { return nil }
        return Endpoint(address, port: port, scope: scope)
    }
}

/// Where datagrams leave from, so that an answer comes from the address that was asked.
@frozen
public struct LocalSource: Hashable, Sendable {
    public var address: IPAddress
    /// The interface, or 0 to leave it to routing.
    public var interface: UInt32

    @inlinable public init(_ address: IPAddress, interface: UInt32) {
        self.address = address
        self.interface = interface
    }
}

extension ctun_received {
    /// Where the message came from.
    @inlinable public var sender: Endpoint? { remote.endpoint }

    /// What an answer should be sent from.
    @inlinable public var source: LocalSource? {
        guard let address = local.address else { return nil }
        return LocalSource(address, interface: interface)
    }

    /// The number of datagrams in it.
    @inlinable public var datagramCount: Int {
        segment == 0 ? 1 : (Int(length) + Int(segment) - 1) / Int(segment)
    }
}

extension ctun_run {
    /// A run of `length` bytes at `base`, cut every `segment` bytes, to leave by an outlet. The memory must live until the send returns.
    @unsafe @inlinable
    public init(
        base: UnsafeRawPointer?, length: Int, segment: Int, to remote: Endpoint, from source: LocalSource?,
        trafficClass: UInt8, outlet: Int = 0
    ) {
        unsafe self.init()
        unsafe self.base = base
        unsafe self.length = UInt32(truncatingIfNeeded: length)
        unsafe self.segment = UInt32(truncatingIfNeeded: segment)
        unsafe self.remote = ctun_address(remote)
        unsafe self.traffic_class = trafficClass
        unsafe self.outlet = UInt8(truncatingIfNeeded: outlet)
        if let source {
            unsafe self.source = ctun_address(source.address)
            unsafe self.source_interface = source.interface
        }
    }
}
