"""A payload of each kind that the page says is dropped."""

import zlib

from .records import CODECS, HELLO, UNIT, Hello, deflated, option, record, unit


def malformed(packet):
    """The payloads by what is wrong with them. packet: what those hold that could be taken for a UNIT."""
    coded, size, whole, hello = deflated(packet), len(packet), unit(packet), b"\0" + option(CODECS, b"\1")
    return {
        "a first byte of zero": bytes(16),
        "a reserved type": record(0x12, 1, whole[4:]),
        "a head cut off": whole[:3],
        "a body that ends behind the payload": whole[:-16],
        "a body followed by 16 bytes": whole + bytes(16),
        "HELLO without flags": record(HELLO, 1, b""),
        "an option cut off in its head": record(HELLO, 1, hello + b"\2"),
        "an option cut off in its value": record(HELLO, 1, hello + b"\2\4\1\1\1"),
        "an unknown option cut off": record(HELLO, 1, hello + b"\xc8\4\1"),
        "MAXIMUM UNIT of three bytes": record(HELLO, 1, hello + b"\2\3\0\1\0"),
        "MAXIMUM UNIT of five bytes": record(HELLO, 1, hello + b"\2\5\0\1\0\0\0"),
        "codec 0": unit(packet, packet, parameter=0),
        "a codec that was not announced": unit(packet, parameter=15),
        "an unknown layout": unit(packet, parameter=0x11),
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
        "a unit of nothing": unit(b""),
        "a unit of half a packet": unit(packet[:size // 2]),
        "a unit of a HELLO": unit(Hello(asks=True).encode()),
        "a unit of a UNIT": unit(whole),
    }
