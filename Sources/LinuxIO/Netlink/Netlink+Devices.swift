public import Addresses
import CTun
import Glibc

/// An interface as the kernel describes it.
public struct DeviceState: Equatable, Sendable {
    public let index: UInt32
    /// In bytes, without the link-layer header.
    public let mtu: Int
    public let isUp: Bool

    public init(index: UInt32, mtu: Int, isUp: Bool) {
        self.index = index
        self.mtu = mtu
        self.isUp = isUp
    }
}

/// The name of an interface in our namespace; `nil` if there is none of this number.
public func interfaceName(of index: UInt32) -> String? {
    var name = [UInt8](repeating: 0, count: 16)
    var span = name.mutableSpan
    guard ctun_interface_name(index, &span) == 0 else { return nil }
    return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
}

extension Netlink {
    /// The interface called `name`, or `nil` if there is none.
    public mutating func device(named name: String) throws(SystemError) -> DeviceState? {
        try lookUp(name, DeviceState.init)
    }

    /// What kind of interface `name` is, as `ip -d link` calls it: `bridge`, `veth`, `tun`; `nil` if it is a network card,
    /// or there is none.
    public mutating func kind(ofDevice name: String) throws(SystemError) -> String? {
        try lookUp(name, \.linkKind)
    }

    /// How many packets the kernel dropped that the interface `name` should have sent; `nil` if there is none.
    public mutating func transmitDrops(ofDevice name: String) throws(SystemError) -> UInt64? {
        try lookUp(name, \.linkTransmitDrops)
    }

    mutating func lookUp<Value>(
        _ name: String, _ value: (NetlinkMessage) -> Value?
    ) throws(SystemError) -> Value? {
        var request = linkRequest(RTNetlink.getLink, index: 0)
        request.append(RTNetlink.Link.name, text: name)
        do throws(SystemError) {
            return try ask(request, "look up the interface \(name)").compactMap(value).first
        } catch {
            guard error.number == ENODEV else { throw error }
            return nil
        }
    }

    /// Sets the MTU in bytes; `EINVAL` if the interface can't.
    public mutating func setMTU(_ mtu: Int, of index: UInt32) throws(SystemError) {
        try change(index, RTNetlink.Link.mtu, UInt32(clamping: mtu), "set the MTU of interface \(index) to \(mtu)")
    }

    /// Gives an Ethernet interface, which must be down, another address.
    public mutating func setAddress(_ address: MACAddress, of index: UInt32) throws(SystemError) {
        var request = linkRequest(RTNetlink.newLink, index: index)
        request.append(RTNetlink.Link.address, address)
        try send(request, "set the address of interface \(index) to \(address)")
    }

    /// Makes an Ethernet interface a port of a bridge; for bridge 0, of none.
    public mutating func setBridge(_ bridge: UInt32, of index: UInt32) throws(SystemError) {
        try change(index, RTNetlink.Link.master, bridge, "join interface \(index) to bridge \(bridge)")
    }

    public mutating func setUp(_ index: UInt32) throws(SystemError) {
        try send(linkRequest(RTNetlink.newLink, index: index, isUp: true), "set interface \(index) up")
    }

    public mutating func setDown(_ index: UInt32) throws(SystemError) {
        try send(linkRequest(RTNetlink.newLink, index: index, isUp: false), "set interface \(index) down")
    }

    /// Lets the interface come up without a link-local IPv6 address of the kernel's making, as WireGuard's own does:
    /// an idle one then sends no router solicitations. Before it is set up.
    public mutating func disableLinkLocalAddress(of index: UInt32) throws(SystemError) {
        var request = linkRequest(RTNetlink.newLink, index: index)
        request.append(RTNetlink.Link.familySpecific) { families in
            families.append(RTNetlink.Link.inet6) { $0.append(RTNetlink.Link.addressGeneration, UInt8(1)) }
        }
        try send(request, "switch off link-local addresses of interface \(index)")
    }

    public mutating func deleteDevice(_ index: UInt32) throws(SystemError) {
        try send(linkRequest(RTNetlink.deleteLink, index: index), "delete interface \(index)")
    }

    /// Gives the interface an address, and the route to the network it is in; `EEXIST` if it has it already.
    ///
    /// It can be used at once: IPv6 does not look for duplicates first.
    public mutating func addAddress(_ address: InterfaceAddress, to index: UInt32) throws(SystemError) {
        let request = addressRequest(
            RTNetlink.newAddress, flags: RTNetlink.create | RTNetlink.exclusive, address, index)
        try send(request, "add the address \(address) to interface \(index)")
    }

    /// `EADDRNOTAVAIL` if the interface does not have it.
    public mutating func removeAddress(_ address: InterfaceAddress, from index: UInt32) throws(SystemError) {
        let request = addressRequest(RTNetlink.deleteAddress, flags: 0, address, index)
        try send(request, "remove the address \(address) from interface \(index)")
    }

    private mutating func change(
        _ index: UInt32, _ kind: UInt16, _ value: UInt32, _ attempt: @autoclosure () -> String
    ) throws(SystemError) {
        var request = linkRequest(RTNetlink.newLink, index: index)
        request.append(kind, value)
        try send(request, attempt())
    }

    private mutating func linkRequest(_ type: UInt16, index: UInt32, isUp: Bool? = nil) -> NetlinkRequest {
        var request = request(type, flags: RTNetlink.acknowledge)
        request.append(UInt32(0))
        request.append(index)
        request.append(isUp == true ? RTNetlink.Link.isUp : 0)
        request.append(isUp == nil ? 0 : RTNetlink.Link.isUp)
        return request
    }

    private mutating func addressRequest(
        _ type: UInt16, flags: UInt16, _ address: InterfaceAddress, _ index: UInt32
    ) -> NetlinkRequest {
        var request = request(type, flags: flags | RTNetlink.acknowledge)
        request.append(address.address.linuxFamily)
        request.append(UInt8(address.length))
        request.append(RTNetlink.Address.withoutDuplicateDetection)
        request.append(RTNetlink.Route.universe)
        request.append(index)
        request.append(RTNetlink.Address.local, address.address)
        request.append(RTNetlink.Address.address, address.address)
        return request
    }
}

extension NetlinkMessage {
    /// Of a link message.
    var linkKind: String? {
        guard let information = attributes(after: RTNetlink.linkSize)[RTNetlink.Link.information],
            let kind = NetlinkMessage.attributes(in: information)[RTNetlink.Link.kind]
        else { return nil }
        return String(decoding: kind.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Of a link message.
    fileprivate var linkTransmitDrops: UInt64? {
        attributes(after: RTNetlink.linkSize)[RTNetlink.Link.statistics]?
            .native(UInt64.self, at: RTNetlink.Link.transmitDrops)
    }
}

extension DeviceState {
    /// What a link message says; `nil` if it is too short.
    init?(_ message: NetlinkMessage) {
        guard let index = message.body.native(UInt32.self, at: 4), let flags = message.body.native(UInt32.self, at: 8)
        else { return nil }
        let attributes = message.attributes(after: RTNetlink.linkSize)
        self.index = index
        self.mtu = Int(attributes[RTNetlink.Link.mtu]?.native(UInt32.self, at: 0) ?? 0)
        self.isUp = flags & RTNetlink.Link.isUp != 0
    }
}
