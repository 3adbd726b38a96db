"""How packets are sent: as what the page allows and takes the fewest bytes on the wire."""

import itertools

from . import members
from .codecs import KNOWN
from .fragments import fragments
from .members import Member
from .packets import ecn
from .records import BUNDLE, FRAGMENT, MEMBERS, PACK, padded, record, unit

ROOM = 1408
"""Bytes of the largest payload that is a record."""
_LARGEST = 1420
"""Bytes of the largest packet that a datagram has room for."""
_AROUND = 28 + 32
"""Bytes on the wire around a payload."""
_BYTES = 60_000
_FEW = 16
"""Packets in one record: fewer than the page allows, for the sake of whoever waits."""


def payloads(packets, theirs, numbers):
    """The payloads that carry these packets, each with its ECN bits.

    theirs: what the receiver's HELLO announced, or None. numbers: an iterator over those of fragmented units.
    """
    most = _FEW if theirs and BUNDLE in theirs.records else 1
    for bits, group in itertools.groupby(packets, ecn):
        for some in _groups(group, most):
            ways = list(_records(some, theirs, numbers)) if theirs else []
            if not (theirs and _takes_packs(theirs)) or max(map(len, some)) <= _LARGEST:
                ways.append([padded(packet) for packet in some])
            for payload in min(ways, key=lambda way: sum(len(payload) + _AROUND for payload in way)):
                yield payload, bits


def _groups(packets, most):
    """No more packets than that, and no more bytes than a record has, in one."""
    some = []
    for packet in packets:
        if some and (len(some) == most or sum(map(len, some)) + len(packet) > _BYTES):
            yield some
            some = []
        some.append(packet)
    yield some


def _records(packets, theirs, numbers):
    """The ways to send them all as records."""
    if _takes_packs(theirs) and max(map(len, packets)) > _LARGEST:
        yield _in_pieces(record(PACK, 0, members.encode(map(Member, packets))), numbers)
    decoded, layout = packets[0], 0
    if BUNDLE in theirs.records:
        decoded, layout = members.encode(map(Member, packets)), MEMBERS
        if len(packets) > 1 and len(decoded) + 4 <= ROOM:
            yield [record(BUNDLE, 0, decoded)]
    if len(decoded) > theirs.maximum_unit:
        return
    for codec in theirs.codecs & KNOWN:
        whole = unit(decoded, parameter=codec | layout)
        if len(whole) <= ROOM:
            yield [whole]
        elif FRAGMENT in theirs.records:
            yield _in_pieces(whole, numbers)


def _in_pieces(whole, numbers):
    if len(whole) <= ROOM:
        return [whole]
    return [piece.encode() for piece in fragments(next(numbers), whole, -(-len(whole) // (ROOM - 10)))]


def _takes_packs(theirs):
    return theirs.records >= {PACK, FRAGMENT}
