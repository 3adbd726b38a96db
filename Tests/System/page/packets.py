"""IP packets with TCP, UDP or ICMP inside: their headers, their checksums, and how to make them.

Addresses are bytes, 4 or 16. RFC 791, 8200, 9293, 768, 792 and 1071.
"""

import struct
from typing import NamedTuple

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
FIN, PSH, ACK, CWR = 0x01, 0x08, 0x10, 0x80


class Header(NamedTuple):
    """What §3.3 calls the header of a packet, in bytes."""

    version: int
    protocol: int
    ip: int
    """The IP header with its options."""
    size: int
    """All of it: more than `ip` if TCP or UDP follows directly."""

    @property
    def transport(self):
        return self.protocol if self.size > self.ip else None

    @property
    def sums(self):
        """Where the checksums stand, the IP header's first."""
        behind = {TCP: [self.ip + 16], UDP: [self.ip + 6]}.get(self.transport, [])
        return [10] * (self.version == 4) + behind


def header(packet):
    """The header of a whole IP packet."""
    if packet[0] >> 4 == 4:
        ip, protocol = packet[0] % 16 * 4, packet[9]
        whole = not struct.unpack_from(">H", packet, 6)[0] & 0x3FFF
    else:
        ip, protocol, whole = 40, packet[6], True
    behind, rest = 0, len(packet) - ip
    if whole and protocol == UDP and rest >= 8:
        behind = 8
    if whole and protocol == TCP and rest >= 20:
        offset = packet[ip + 12] // 16 * 4
        behind = offset if 20 <= offset <= rest else 0
    return Header(packet[0] >> 4, protocol, ip, ip + behind)


def internet_sum(data):
    """RFC 1071 over data that is not all zeros: 65,536 is 1 modulo 65,535."""
    return -int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF


def right_sums(packet, head):
    """The packet with the checksums of its header as they must be."""
    packet = bytearray(packet)
    if head.version == 4:
        struct.pack_into(">H", packet, 10, 0)
        struct.pack_into(">H", packet, 10, internet_sum(packet[:head.ip]))
    if head.transport:
        at, behind = head.sums[-1], bytes(packet[head.ip:])
        addresses = packet[12:20] if head.version == 4 else packet[8:40]
        struct.pack_into(">H", packet, at, 0)
        pseudo = addresses + struct.pack(">II", len(behind), head.protocol)
        value = internet_sum(pseudo + packet[head.ip:])
        struct.pack_into(">H", packet, at, value or 0xFFFF * (head.protocol == UDP))
    return bytes(packet)


def with_lengths(packet, head):
    """The packet with the lengths of its header as they must be."""
    packet = bytearray(packet)
    struct.pack_into(">H", packet, *((2, len(packet)) if head.version == 4 else (4, len(packet) - 40)))
    if head.transport == UDP:
        struct.pack_into(">H", packet, head.ip + 4, len(packet) - head.ip)
    return bytes(packet)


def ecn(packet):
    """The two bits of RFC 3168."""
    return packet[1] & 3 if packet[0] >> 4 == 4 else packet[1] >> 4 & 3


def marked(packet):
    """The packet with "congestion experienced"; its header's checksum follows."""
    packet = bytearray(packet)
    if packet[0] >> 4 == 6:
        packet[1] |= 0x30
        return bytes(packet)
    packet[1] |= 3
    return right_sums(packet, header(packet)._replace(size=header(packet).ip))


def ip(source, destination, protocol, data, *, ecn=0, identification=0, fragment=0, options=b"", ttl=64):
    """A packet with right lengths. fragment: flags and offset of IPv4. options: of IPv4, a multiple of 4."""
    if len(source) == 16:
        return struct.pack(">IHBB", 6 << 28 | ecn << 20, len(data), protocol, ttl) + source + destination + data
    size = 20 + len(options)
    head = struct.pack(
        ">BBHHHBBH", 0x40 | size // 4, ecn, size + len(data), identification, fragment, ttl, protocol, 0)
    packet = head + source + destination + options + data
    return right_sums(packet, Header(4, protocol, size, size))


def udp(source, destination, data, ports=(4000, 4000), **options):
    """A UDP packet with right checksums; options: those of `ip`."""
    packet = ip(source, destination, UDP, struct.pack(">HHHH", *ports, 8 + len(data), 0) + data, **options)
    return right_sums(packet, header(packet))


def tcp(source, destination, data, ports=(5000, 80), sequence=0, flags=ACK, extra=b"", **options):
    """A TCP packet with right checksums. extra: TCP's options, a multiple of 4."""
    head = struct.pack(">HHIIBBHHH", *ports, sequence % 2**32, 1, (20 + len(extra)) * 4, flags, 500, 0, 0) + extra
    packet = ip(source, destination, TCP, head + data, **options)
    return right_sums(packet, header(packet))
