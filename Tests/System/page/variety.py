"""Packets of all kinds, in flows whose packets follow one another."""

import struct

from . import packets
from .members import Member
from .packets import ACK, CWR, FIN, ICMP, ICMP6, PSH, TCP, UDP, header, right_sums

_MORE_FRAGMENTS, _ROUTER_ALERT = 0x2000, b"\x94\4\0\0"


def flows(chance, count, ends, ecn=0):
    """So many members or a few more. ends: pairs of addresses, source and destination. chance: a `random.Random`."""
    members = []
    while len(members) < count:
        members += _flow(chance, *chance.choice(ends), ecn)
    return members


def _flow(chance, source, destination, ecn):
    kind = chance.choice([_tcp, _tcp, _udp, _udp, _icmp, _other])
    ports, number, sequence = (chance.randrange(1, 65536), 9), chance.randrange(65536), chance.randrange(2**32)
    size, ttl = chance.choice([0, 1, 2, 3, 99, 100, 333]), chance.choice([1, 63, 64])
    options = {"ecn": ecn, "ttl": ttl}
    if len(source) == 4:
        options["options"] = chance.choice([b"", b"", b"", _ROUTER_ALERT, b"\1" * 40])
    for _ in range(chance.randrange(1, 7)):
        if len(source) == 4:
            options["identification"] = number % 65536
            options["fragment"] = chance.choice([0] * 6 + [0x4000, _MORE_FRAGMENTS, 7])
        segments = chance.choice([0, 0, 0, chance.randrange(1, 5)])
        data = chance.randbytes(size * max(segments, 1) + chance.choice([0, 0, 0, 1, 2, 17]))
        packet = kind(chance, source, destination, data, ports, sequence, options)
        payload = len(packet) - header(packet).size
        if segments and header(packet).transport and payload > size > 0:
            yield Member(packet, size)
        else:
            yield Member(_spoilt(chance, packet))
        number += chance.choice([1, 1, 1, 0, 9]) if not segments else -(-payload // size) if size else 1
        sequence += payload + chance.choice([0, 0, 0, 5])


def _tcp(chance, source, destination, data, ports, sequence, options):
    flags = chance.choice([ACK, ACK, ACK | PSH, ACK | FIN, ACK | CWR | PSH, 2, 0x1FF & 0xFF])
    extra = chance.choice([b"", b"\1\1\x08\n" + struct.pack(">II", sequence // 7, 5), b"\1" * 40])
    return packets.tcp(source, destination, data, ports, sequence, flags, extra, **options)


def _udp(chance, source, destination, data, ports, sequence, options):
    return packets.udp(source, destination, data, ports, **options)


def _icmp(chance, source, destination, data, ports, sequence, options):
    protocol = ICMP if len(source) == 4 else ICMP6
    return packets.ip(source, destination, protocol, b"\x80\0" + chance.randbytes(6) + data, **options)


def _other(chance, source, destination, data, ports, sequence, options):
    """A protocol without a name, TCP or UDP that is cut off, or one behind an extension header of IPv6."""
    if len(source) == 16 and chance.random() < 0.5:
        return packets.ip(source, destination, 60, bytes([UDP, 0, 1, 4, 0, 0, 0, 0]) + bytes(8) + data, **options)
    return packets.ip(source, destination, chance.choice([253, 50, TCP, UDP]), data[:7], **options)


def _spoilt(chance, packet):
    """The packet, seldom with something that is not as it should be."""
    head, spoilt = header(packet), bytearray(packet)
    sums, length = head.sums, head.ip + 4
    match chance.randrange(12):
        case 0 if sums:
            spoilt[chance.choice(sums)] ^= chance.randrange(1, 256)
        case 1 if head.transport == UDP:
            spoilt[sums[-1]:sums[-1] + 2] = bytes(2)
        case 2 if head.transport == UDP:
            struct.pack_into(">H", spoilt, length, chance.choice([0, 7, len(packet) - head.ip + 1, 65535]))
            spoilt = chance.choice([spoilt, bytearray(right_sums(spoilt, head))])
        case 3 if head.transport == TCP:
            spoilt[head.ip + 12] |= 1
        case 4 if head.version == 4:
            struct.pack_into(">H", spoilt, 10, 0xFFFF)
    return bytes(spoilt)
