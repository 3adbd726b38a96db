public import Addresses
import Glibc

extension HostAndPort {
    /// Asks the system for an address of the host. It blocks, for as long as the resolver likes.
    public func resolve() throws(ResolutionError) -> Endpoint {
        if let numeric { return numeric }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        unsafe hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let failure = unsafe getaddrinfo(host, nil, &hints, &list)
        guard failure == 0 else {
            throw ResolutionError(host: host, reason: unsafe String(cString: gai_strerror(failure)))
        }
        defer { unsafe freeaddrinfo(list) }
        var next = unsafe list
        while let entry = unsafe next {
            if let address = unsafe IPAddress(entry.pointee.ai_addr) { return Endpoint(address, port: port) }
            unsafe next = entry.pointee.ai_next
        }
        throw ResolutionError(host: host, reason: "no address")
    }
}

/// A name that has no address now.
public struct ResolutionError: Error, Equatable, CustomStringConvertible {
    public let host: String
    public let reason: String

    public init(host: String, reason: String) {
        self.host = host
        self.reason = reason
    }

    /// `gateway.example: Name or service not known`
    public var description: String { "\(host): \(reason)" }
}

extension IPAddress {
    fileprivate init?(_ address: UnsafeMutablePointer<sockaddr>?) {
        guard let address = unsafe address else { return nil }
        let raw = UnsafeRawPointer(address)
        switch unsafe Int32(address.pointee.sa_family) {
        case AF_INET:
            let v4 = unsafe raw.loadUnaligned(as: sockaddr_in.self)
            self = .v4(UInt32(bigEndian: v4.sin_addr.s_addr))
        case AF_INET6:
            let offset = MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr) ?? 8
            self = unsafe .v6(UInt128(bigEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt128.self)))
        default: return nil
        }
    }
}
