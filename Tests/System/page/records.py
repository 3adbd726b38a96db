"""The records of §3: HELLO and UNIT."""

import struct
import zlib
from typing import NamedTuple

HELLO, UNIT = 0x10, 0x11
SEEN, ASKS = 0x01, 0x02
CODECS, MAXIMUM_UNIT = 1, 2
DEFLATE = 1


class Malformed(Exception):
    """Why a payload is dropped."""


class Hello(NamedTuple):
    """What its sender can receive, and what it knows of the other's HELLO."""

    codecs: frozenset = frozenset([DEFLATE])
    maximum_unit: int = 65_535
    seen: bool = False
    asks: bool = False
    version: int = 1

    def encode(self):
        options = option(CODECS, bytes(self.codecs)) + option(MAXIMUM_UNIT, struct.pack("<I", self.maximum_unit))
        return record(HELLO, self.version, bytes([SEEN * self.seen | ASKS * self.asks]) + options)


class Unit(NamedTuple):
    """One compressed unit, decoded: an IP packet, and the size of the record that it came in."""

    packet: bytes
    size: int


def record(kind, parameter, body):
    """One record as the payload of a transport message."""
    return padded(struct.pack("<BBH", kind, parameter, len(body)) + body)


def option(kind, value):
    return bytes([kind, len(value)]) + value


def unit(packet, coded=None, *, parameter=DEFLATE, size=None):
    """A UNIT of that packet; the rest is for units as they should not be."""
    coded, size = deflated(packet) if coded is None else coded, len(packet) if size is None else size
    return record(UNIT, parameter, struct.pack("<H", size) + coded)


def padded(payload):
    return payload + bytes(-len(payload) % 16)


def deflated(data, window=-15, flush=zlib.Z_FINISH):
    """The data as raw deflate; the rest is for streams as they should not be."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, window)
    return deflate.compress(data) + deflate.flush(flush)


def decode(payload, announced):
    """What a decrypted payload is (§2): None for a keepalive, bytes for a plain packet, else a record.

    announced: the `Hello` that this end has sent, which says what may come.
    """
    if not payload:
        return None
    if payload[0] >> 4 in (4, 6):
        return ip_packet(payload)
    _require(payload[0] in (HELLO, UNIT), "reserved, or a record of unknown type")
    _require(len(payload) >= 4, "shorter than its head")
    kind, parameter, length = struct.unpack_from("<BBH", payload)
    _require(4 + length <= len(payload), "ends behind the payload")
    _require(len(payload) < 4 + length + 16, "followed by 16 bytes or more")
    body = payload[4:4 + length]
    return _hello(parameter, body) if kind == HELLO else Unit(_unit(parameter, body, announced), len(payload))


def ip_packet(data):
    """The packet without what follows it."""
    least, length = 1, 0
    if data[:1] and data[0] >> 4 == 4 and len(data) >= 20:
        least, length = 20, struct.unpack_from(">H", data, 2)[0]
    elif data[:1] and data[0] >> 4 == 6 and len(data) >= 40:
        least, length = 40, 40 + struct.unpack_from(">H", data, 4)[0]
    _require(least <= length <= len(data), "not an IP packet")
    return data[:length]


def _hello(version, body):
    _require(body, "HELLO without flags")
    options, at = {CODECS: b"", MAXIMUM_UNIT: struct.pack("<I", 65_535)}, 1
    while at < len(body):
        end = at + 2 + body[at + 1] if at + 1 < len(body) else len(body) + 1
        _require(end <= len(body), "option cut off")
        options[body[at]] = body[at + 2:end]
        at = end
    _require(len(options[MAXIMUM_UNIT]) == 4, "option with a length that it cannot have")
    (maximum,) = struct.unpack("<I", options[MAXIMUM_UNIT])
    return Hello(frozenset(options[CODECS]), maximum, bool(body[0] & SEEN), bool(body[0] & ASKS), version)


def _unit(parameter, body, announced):
    _require(parameter & 15 in announced.codecs & {DEFLATE}, "codec not announced")
    _require(parameter >> 4 == 0, "unknown layout")
    _require(len(body) >= 3, "UNIT without coded bytes")
    (size,), inflate = struct.unpack_from("<H", body), zlib.decompressobj(-15)
    _require(size <= announced.maximum_unit, "larger than announced")
    try:
        decoded = inflate.decompress(body[2:], size + 1)
    except zlib.error as error:
        raise Malformed(str(error)) from None
    _require(len(decoded) == size and inflate.eof and not inflate.unused_data, "not one stream of that size")
    return ip_packet(decoded)


def _require(condition, otherwise):
    if not condition:
        raise Malformed(otherwise)
