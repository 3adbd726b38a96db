"""Several packets, one behind the other (§3.3)."""

import struct
from typing import NamedTuple

from .packets import FIN, PSH, CWR, TCP, ecn, header, right_sums, with_lengths
from .wrong import Malformed, require

LIKE, SEGMENTED, UNCHECKED = 0x01, 0x02, 0x04
MOST = 128
"""Packets in one record."""
_PAYLOAD_LENGTH, _MASK = 3, 9
"""The most groups of 7 bits in these two numbers."""


class Member(NamedTuple):
    """A packet; or, with a segment, one that stands for several."""

    packet: bytes
    segment: int = 0

    @property
    def packets(self):
        return cut(self.packet, self.segment) if self.segment else [self.packet]

    @property
    def count(self):
        return -(-len(self.payload) // self.segment) if self.segment else 1

    @property
    def payload(self):
        return self.packet[header(self.packet).size:]


def encode(members, like=True):
    """The bytes of these members. like: False says each in full."""
    coded, before = b"", None
    for member in members:
        ways = [_whole(member)]
        if like and before and _can_be_like(member.packet, before.packet):
            ways.append(_like(member, before))
        coded += min(ways, key=len)
        before = member
    return coded


def decode(data):
    """The packets, and why the rest was dropped, or None if there is no rest."""
    packets, before, at = [], None, 0
    try:
        require(data, "not one member")
        while at < len(data):
            before, at = _member(data, at, before)
            more = before.packets
            require(len(packets) + len(more) <= MOST, "too many packets")
            require(ecn(more[0]) == ecn((packets or more)[0]), "another ECN class")
            packets += more
    except Malformed as reason:
        return packets, reason
    return packets, None


def cut(packet, segment):
    """The packets that a segmented one stands for."""
    head = header(packet)
    payload, cuts = packet[head.size:], []
    require(head.transport and 0 < segment < len(payload), "not segmented")
    for number, at in enumerate(range(0, len(payload), segment)):
        one = bytearray(packet[:head.size] + payload[at:at + segment])
        if head.version == 4:
            _add(one, ">H", 4, number)
        if head.protocol == TCP:
            _add(one, ">I", head.ip + 4, at)
            one[head.ip + 13] &= ~(CWR * (at > 0) | (FIN | PSH) * (at + segment < len(payload)))
        cuts.append(right_sums(with_lengths(one, head), head))
    return cuts


def without_sums(members):
    """The same with zeros for the checksums of the first, which stands there whole (§3.16)."""
    packet = bytearray(ip_packet(members[1:]))
    for offset in header(packet).sums:
        packet[offset:offset + 2] = bytes(2)
    return bytes([UNCHECKED]) + bytes(packet) + members[1 + len(packet):]


def with_sums(members):
    """What such members become."""
    if members[:1] != bytes([UNCHECKED]):
        return members
    packet = ip_packet(members[1:])
    return bytes(1) + right_sums(packet, header(packet)) + members[1 + len(packet):]


def ip_packet(data):
    """The packet without what follows it."""
    least, length = 1, 0
    if data[:1] and data[0] >> 4 == 4 and data[0] % 16 >= 5 and len(data) >= 20:
        least, length = data[0] % 16 * 4, struct.unpack_from(">H", data, 2)[0]
    elif data[:1] and data[0] >> 4 == 6 and len(data) >= 40:
        least, length = 40, 40 + struct.unpack_from(">H", data, 4)[0]
    require(least <= length <= len(data), "not an IP packet")
    return data[:length]


def number(value):
    """In groups of 7 bits, the least significant first."""
    coded = bytearray()
    while value > 0x7F:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(coded) + bytes([value])


def _whole(member):
    return _form(member, 0) + member.packet


def _like(member, before):
    """The member by what differs from the one before."""
    head, packet = header(member.packet), member.packet
    expected, right = _expected(before, len(member.payload)), right_sums(packet, head)
    mask, different = 0, b""
    for at in range(0, head.size, 2):
        against = right if at in head.sums and not member.segment else packet if at in head.sums else expected
        if packet[at:at + 2] != against[at:at + 2]:
            mask |= 1 << at // 2
            different += packet[at:at + 2]
    return _form(member, LIKE) + number(len(member.payload)) + number(mask) + different + member.payload


def _form(member, like):
    return struct.pack("<BH", like | SEGMENTED, member.segment) if member.segment else bytes([like])


def _can_be_like(packet, before):
    return header(packet) == header(before)


def _member(data, at, before):
    form, at = data[at], at + 1
    require(form <= LIKE | SEGMENTED, "unknown form")
    segment = 0
    if form & SEGMENTED:
        require(at + 2 <= len(data), "segment cut off")
        (segment,), at = struct.unpack_from("<H", data, at), at + 2
        require(segment, "segments of nothing")
    if not form & LIKE:
        packet = ip_packet(data[at:])
        return Member(packet, segment), at + len(packet)
    require(before, "like nothing")
    length, at = _number(data, at, _PAYLOAD_LENGTH)
    mask, at = _number(data, at, _MASK)
    head = header(before.packet)
    require(mask < 1 << head.size // 2, "mask behind the header")
    end = at + 2 * mask.bit_count()
    require(end + length <= len(data), "cut off")
    require(head.size + length < 65_536 + 40 * (head.version == 6), "too long for a packet")
    like = bytearray(_expected(before, length) + data[end:end + length])
    bits = [bit for bit in range(head.size // 2) if mask >> bit & 1]
    for bit, half in zip(bits, range(at, end, 2)):
        like[2 * bit:2 * bit + 2] = data[half:half + 2]
    packet = bytearray(right_sums(like, head))
    for offset in head.sums:
        if mask >> offset // 2 & 1:
            packet[offset:offset + 2] = like[offset:offset + 2]
    require(ip_packet(packet) == packet and header(packet) == head, "not like the one before")
    return Member(bytes(packet), segment), end + length


def _expected(before, length):
    """The header of a like member with a payload of that length, before the mask and without checksums."""
    head = header(before.packet)
    like = bytearray(before.packet[:head.size])
    if head.version == 4:
        _add(like, ">H", 4, before.count)
    if head.transport == TCP:
        _add(like, ">I", head.ip + 4, len(before.payload))
    return with_lengths(like + bytes(length), head)[:head.size]


def _number(data, at, most):
    value = 0
    for place in range(most):
        require(at + place < len(data), "number cut off")
        value |= (data[at + place] & 0x7F) << 7 * place
        if data[at + place] < 0x80:
            return value, at + place + 1
    raise Malformed("number too long")


def _add(packet, form, at, value):
    (now,) = struct.unpack_from(form, packet, at)
    struct.pack_into(form, packet, at, (now + value) % 256 ** struct.calcsize(form))
