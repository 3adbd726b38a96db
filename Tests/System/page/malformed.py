"""What the page says is dropped: payloads of each kind."""

import struct
import zlib

from . import members
from .codecs import DEFLATE, ZSTD, deflated, zstandarded
from .fragments import fragments
from .members import LIKE, SEGMENTED, Member, number
from .packets import header, udp
from .records import (
    BUNDLE, CODECS, FRAGMENT, GONE, HELLO, MEMBERS, PACK, PARITY, PING, RECEIPT, REPORT, UNIT, Fragment, Hello, Parity, Report,
    option, padded, record, unit)

_MEGABYTES = bytes(4 << 20)


def malformed(packet):
    """The payloads by what is wrong with them. packet: what those hold that could be taken for a UNIT."""
    coded, size, whole, hello = deflated(packet), len(packet), unit(packet), b"\0" + option(CODECS, b"\1")
    zstd, frame = (lambda coded, **more: unit(packet, coded, parameter=ZSTD, **more)), zstandarded(packet)
    return {
        "a first byte of zero": bytes(16),
        "a reserved type": record(0x16, 1, whole[4:]),
        "a head cut off": whole[:3],
        "a body that ends behind the payload": whole[:-16],
        "a body followed by 16 bytes": whole + bytes(16),
        "HELLO without flags": record(HELLO, 1, b""),
        "HELLO of version 0": record(HELLO, 0, hello),
        "an option cut off in its head": record(HELLO, 1, hello + b"\2"),
        "an option cut off in its value": record(HELLO, 1, hello + b"\2\4\1\1\1"),
        "an unknown option cut off": record(HELLO, 1, hello + b"\xc8\4\1"),
        "MAXIMUM UNIT of three bytes": record(HELLO, 1, hello + b"\2\3\0\1\0"),
        "MAXIMUM UNIT of five bytes": record(HELLO, 1, hello + b"\2\5\0\1\0\0\0"),
        "codec 0": unit(packet, packet, parameter=0),
        "a codec that was not announced": unit(packet, coded, parameter=15),
        "an unknown layout": unit(packet, parameter=0x21),
        "half a decoded size": record(UNIT, 1, b"\1"),
        "UNIT without coded bytes": unit(packet, b""),
        "a stream that is none": unit(packet, b"\7" * 40),
        "a stream cut off": unit(packet, coded[:-2]),
        "a stream without its last block": unit(packet, deflated(packet, flush=zlib.Z_SYNC_FLUSH)),
        "a stream with a head of zlib": unit(packet, deflated(packet, window=15)),
        "a stream with a byte behind it": unit(packet, coded + b"\0"),
        "two streams": unit(packet, coded + coded),
        "a decoded size too small": unit(packet, size=size - 1),
        "a decoded size too large": unit(packet, size=size + 1),
        "a decoded size of nothing": unit(packet, size=0),
        "deflate of more than was said": unit(packet, deflated(_MEGABYTES), size=65_535),
        "a unit of nothing": unit(b""),
        "a unit of half a packet": unit(packet[:size // 2]),
        "a unit of a HELLO": unit(Hello(asks=True).encode()),
        "a unit of a UNIT": unit(whole),
        "a frame that is none": zstd(b"\7" * 40),
        "a frame with its magic number": zstd(zstandarded(packet, form=0)),
        "a frame cut off": zstd(frame[:-1]),
        "a frame with a byte behind it": zstd(frame + b"\0"),
        "two frames": zstd(frame + frame),
        "a frame with a wrong checksum": zstd(_flipped(zstandarded(packet, checksum=True))),
        "a frame with a dictionary": zstd(bytes([frame[0] | 1]) + frame[1:2] + b"\7" + frame[2:]),
        "a frame of less than was said": zstd(frame, size=size + 1),
        "a frame of one byte more": zstd(frame, size=size - 1),
        "a frame of more than was said": zstd(zstandarded(_MEGABYTES), size=65_535),
        "a frame of nothing": unit(b"", parameter=ZSTD),
        "BUNDLE with a parameter": record(BUNDLE, 1, members.encode([Member(packet)])),
        "half a head of FRAGMENT": record(FRAGMENT, 0, bytes(5)),
        "half a REPORT": record(REPORT, 0, bytes(39)),
        "half a token": record(PING, 0, bytes(7)),
        **{f"{what}, in a bundle": record(BUNDLE, 0, data) for what, data in _none(packet).items()},
        **{f"{what}, in a unit": unit(data, parameter=DEFLATE | MEMBERS)
           for what, data in _none(packet).items() if data},
        **{f"FRAGMENT {what}": piece.encode() for what, piece in _fragments(packet).items()},
    }


def cut_short(first, second):
    """Members of which the first counts and the rest is dropped, by what is wrong with the second.

    first: a packet. second: a UDP packet over IPv4 whose payload has 100 bytes.
    """
    head, start, like = header(first), b"\0" + first, lambda *parts: b"\0" + first + bytes([LIKE]) + b"".join(parts)
    halves = head.size // 2
    return {
        "zeros behind the members": start + bytes(20),
        "one zero behind the members": start + b"\0",
        "a form cut off": start + bytes([SEGMENTED]),
        "an unknown form": start + b"\4" + second,
        "a packet cut off": start + b"\0" + second[:-1],
        "a payload length that is missing": like(),
        "a payload length cut off": like(b"\x80"),
        "a payload length of four groups": like(b"\x80\x80\x80\0\0"),
        "a mask that is missing": like(number(4)),
        "a mask cut off": like(number(4), b"\x80"),
        "a mask of ten groups": like(number(4), b"\x80" * 9 + b"\0", b"data"),
        "a mask behind the header": like(number(4), number(1 << halves), b"halfdata"),
        "half-words cut off": like(number(0), number(3), b"\x45\0\0"),
        "a payload cut off": like(number(5), number(0), b"data"),
        "a header that grew": like(number(4), number(1), b"\x46\0", b"data"),
        "another version": like(number(4), number(1), b"\x65\0", b"data"),
        "a length that is not the packet's": like(number(4), number(2), struct.pack(">H", head.size + 5), b"data"),
        "a segment of nothing": start + _segmented(second, 0),
        "a segment that is all": start + _segmented(second, 100),
        "a segment that is more": start + _segmented(second, 101),
        "too many segments": start + _segmented(_longer(second, 128), 1),
        "a HELLO": start + b"\0" + Hello().encode(),
    }


def _none(packet):
    """Members of which not even one counts."""
    return {
        "no member": b"",
        "an unknown form": b"\4" + packet,
        "an unknown bit of a form": b"\x80" + packet,
        "a form alone": b"\0",
        "a first member that is like": bytes([LIKE]) + number(4) + number(0) + b"data",
        "a segmented ping": _segmented(packet, 10),
        "half a packet": b"\0" + packet[:len(packet) // 2],
        "a header of 16 bytes": b"\0\x44" + packet[1:],
        "a UNIT": b"\0" + unit(packet),
        "a HELLO": b"\0" + Hello().encode(),
    }


def _fragments(packet):
    piece, _ = fragments(1000, unit(packet), 2)
    return {
        "one of none": piece._replace(count=0),
        "one of one": piece._replace(count=1),
        "one of 65": piece._replace(count=65),
        "with an index behind the count": piece._replace(index=3),
        "with the last index": piece._replace(index=255),
        "without a piece": piece._replace(piece=b""),
        "with a piece too short": piece._replace(piece=piece.piece[:-1]),
        "with a piece too long": piece._replace(piece=piece.piece + b"\0"),
        "of a size that has no last piece": Fragment(1001, 5, 3, 4, b"x"),
    }


def malformed_packs(packet):
    """What is dropped of PACK (§3.12)."""
    return {
        "PACK with a parameter": record(PACK, 1, members.encode([Member(packet)])),
        **{f"{what}, in a pack": record(PACK, 0, data) for what, data in _none(packet).items()},
    }


def malformed_repairs():
    """What is dropped of RECEIPT, GONE and PARITY (§3.10, §3.11)."""
    receipt, gone = (lambda rest, highest=9: record(RECEIPT, 0, struct.pack("<Q", highest) + bytes(36) + rest),
                     lambda rest, counter=9: record(GONE, 0, struct.pack("<Q", counter) + rest))
    row = Parity(9, 0b11, 0, 1, bytes(18))
    ranges = {
        "half a range": struct.pack("<H", 1),
        "a range and a half": struct.pack("<HHH", 1, 1, 1),
        "a range of no counters": struct.pack("<HH", 1, 0),
        "a range below counter 0": struct.pack("<HH", 0, 10),
        "a range whose end is below counter 0": struct.pack("<HH", 10, 1),
        "a second range below counter 0": struct.pack("<HHHH", 0, 5, 4, 1),
        "a ninth range": struct.pack("<HH", 0, 1) * 9,
    }
    return {
        "half a RECEIPT": record(RECEIPT, 0, bytes(40)),
        "RECEIPT of three bytes too many": receipt(bytes(3)),
        "RECEIPT of no lane": record(RECEIPT, 2, bytes(44)),
        "GONE of no lane": record(GONE, 2, bytes(8)),
        "PARITY of no lane": row._replace(lane=2).encode(),
        "half a counter of GONE": record(GONE, 0, bytes(4)),
        "GONE of a counter and a half": record(GONE, 0, bytes(11)),
        **{f"{what}, in RECEIPT": receipt(rest) for what, rest in ranges.items()},
        **{f"{what}, in GONE": gone(rest) for what, rest in ranges.items()},
        "PARITY cut off": record(PARITY, 0, bytes(17)),
        "PARITY without a row": row._replace(row=b"").encode(),
        "PARITY too short for any datagram": row._replace(row=bytes(17)).encode(),
        "PARITY of no block": row._replace(block=0).encode(),
        "PARITY of a block that begins later": row._replace(block=0b110).encode(),
        "PARITY with a row that there is not": row._replace(number=1).encode(),
        "PARITY of no rows": row._replace(rows=0).encode(),
        "PARITY of four rows": row._replace(rows=4).encode(),
    }


def smuggled(packet):
    """What does not travel in fragments: by name the pieces of each, which come to nothing."""
    bundle = record(BUNDLE, 0, members.encode([Member(packet)]))
    inside = {
        "a plain packet": padded(packet),
        "a HELLO": Hello(asks=True).encode(),
        "a BUNDLE": bundle,
        "a FRAGMENT": fragments(2000, unit(packet), 2)[0].encode(),
        "a REPORT": Report(1, 1, 1, 1, 1).encode(),
        "a reserved type": record(0x16, 0, bundle[4:]),
        "a UNIT cut off": unit(packet)[:-20],
        "a UNIT that is wrong": unit(packet, size=len(packet) + 1),
    }
    return {what: [piece.encode() for piece in _pieces(3000 + n, payload)]
            for n, (what, payload) in enumerate(inside.items())}


def _pieces(number, payload):
    half = -(-len(payload) // 2)
    return [Fragment(number, len(payload), index, 2, payload[index * half:][:half]) for index in range(2)]


def _segmented(packet, segment):
    return struct.pack("<BH", SEGMENTED, segment) + packet


def _longer(packet, size):
    """A UDP packet over IPv4 with a payload of that size instead."""
    return udp(packet[12:16], packet[16:20], bytes(size))


def _flipped(data):
    return data[:-1] + bytes([data[-1] ^ 1])
