import TunnelCore

/// What a packet is about, as far as its protocol and its ports tell.
enum Service {
    static func name(of packet: Packet) -> String {
        switch packet.transport {
        case IPProtocol.tcp: name(packet.ports, tcp) ?? "other tcp"
        case IPProtocol.udp: name(packet.ports, udp) ?? "other udp"
        case IPProtocol.icmp, IPProtocol.icmpV6: "icmp"
        case 47: "gre"
        case IPProtocol.esp, IPProtocol.authenticationHeader: "ipsec"
        case 132: "sctp"
        default: "other ip"
        }
    }

    /// The lower port is the one that is well known.
    private static func name(_ ports: (UInt16, UInt16)?, _ names: [UInt16: String]) -> String? {
        guard let (source, destination) = ports else { return "fragments" }
        return names[min(source, destination)] ?? names[max(source, destination)]
    }

    private static let tcp: [UInt16: String] = [
        20: "ftp", 21: "ftp", 22: "ssh", 23: "telnet", 25: "smtp", 53: "dns", 80: "http", 88: "kerberos", 102: "s7",
        110: "pop3", 111: "nfs", 139: "smb", 143: "imap", 179: "bgp", 389: "ldap", 443: "https", 445: "smb",
        465: "smtps", 502: "modbus", 514: "syslog", 587: "smtp", 601: "syslog", 636: "ldaps", 853: "dns over tls",
        873: "rsync", 993: "imaps", 995: "pop3s", 1433: "mssql", 1521: "oracle", 1883: "mqtt", 2049: "nfs",
        3128: "http", 3306: "mysql", 3389: "rdp", 4840: "opc ua", 5060: "sip", 5061: "sips", 5432: "postgres",
        5672: "amqp", 6379: "redis", 6514: "syslog tls", 8080: "http", 8443: "https", 8883: "mqtts", 9092: "kafka",
        9200: "elasticsearch", 11211: "memcached", 27017: "mongodb",
    ]

    private static let udp: [UInt16: String] = [
        53: "dns", 67: "dhcp", 68: "dhcp", 69: "tftp", 88: "kerberos", 111: "nfs", 123: "ntp", 161: "snmp", 162: "snmp",
        389: "ldap", 443: "quic", 500: "ipsec", 514: "syslog", 853: "quic", 1194: "openvpn", 1812: "radius",
        1813: "radius", 2049: "nfs", 2055: "netflow", 3389: "rdp", 4500: "ipsec", 4739: "ipfix", 5060: "sip",
        5683: "coap", 6343: "sflow", 51820: "wireguard",
    ]
}
