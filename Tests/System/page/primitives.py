"""X25519 (RFC 7748) and ChaCha20-Poly1305 (RFC 8439, and its X variant). For tests only: no constant time."""

import struct

_P, _POLY, _WORD = 2**255 - 19, 2**130 - 5, 0xFFFFFFFF
_QUARTERS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
             (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
_CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")


class Forged(Exception):
    """A tag, a mac or a sender that does not fit."""


def x25519(private, public=(9).to_bytes(32, "little")):
    scalar = int.from_bytes(private, "little") & (2**255 - 8) | 2**254
    u = int.from_bytes(public, "little") & (2**255 - 1)
    (x2, z2), (x3, z3) = (1, 0), (u, 1)
    for bit in range(254, -1, -1):
        one = scalar >> bit & 1
        if one:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, da, cb = x2 + z2, x2 - z2, (x3 - z3) * (x2 + z2) % _P, (x3 + z3) * (x2 - z2) % _P
        aa, bb = a * a % _P, b * b % _P
        x2, z2, x3, z3 = (aa * bb % _P, (aa - bb) * (aa + 121665 * (aa - bb)) % _P,
                          (da + cb) ** 2 % _P, u * (da - cb) ** 2 % _P)
        if one:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, -1, _P) % _P).to_bytes(32, "little") if z2 else bytes(32)


def seal(key, nonce, plain, ad=b""):
    sealed = _chacha20(key, nonce, plain)
    return sealed + _tag(key, nonce, sealed, ad)


def unseal(key, nonce, sealed, ad=b""):
    if len(sealed) < 16 or _tag(key, nonce, sealed[:-16], ad) != sealed[-16:]:
        raise Forged
    return _chacha20(key, nonce, sealed[:-16])


def extended(key, nonce):
    """The key and the nonce for `seal` that make it XChaCha20-Poly1305, of a nonce of 24 bytes."""
    mixed = _rounds([*_CONSTANTS, *struct.unpack("<12I", key + nonce[:16])])
    return struct.pack("<8I", *mixed[:4], *mixed[12:]), bytes(4) + nonce[16:]


def _chacha20(key, nonce, data):
    stream = _stream(key, nonce, 1, -(-len(data) // 64))[:len(data)]
    return (int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")).to_bytes(len(data), "little")


def _stream(key, nonce, counter, count):
    """So many blocks of the key stream, all at once: one number holds a word of every block, 64 bits apart."""
    each = sum(1 << 64 * n for n in range(count))
    counters = sum(counter + n << 64 * n for n in range(count))
    words = [*_CONSTANTS, *struct.unpack("<8I", key), 0, *struct.unpack("<3I", nonce)]
    state = [word * each for word in words]
    state[12] = counters
    ends = (x + y & _WORD * each for x, y in zip(_rounds(state, _WORD * each), state))
    columns = [struct.unpack(f"<{count}Q", end.to_bytes(8 * count, "little")) for end in ends]
    return b"".join(struct.pack("<16I", *block) for block in zip(*columns))


def _rounds(state, mask=_WORD):
    x = list(state)
    for a, b, c, d in _QUARTERS * 10:
        for p, q, r, left in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[p] = x[p] + x[q] & mask
            turned = x[r] ^ x[p]
            x[r] = (turned << left | turned >> 32 - left) & mask
    return x


def _tag(key, nonce, sealed, ad):
    data = ad + bytes(-len(ad) % 16) + sealed + bytes(-len(sealed) % 16) + struct.pack("<QQ", len(ad), len(sealed))
    once = int.from_bytes(_stream(key, nonce, 0, 1)[:32], "little")
    r, total = once & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF, 0
    for at in range(0, len(data), 16):
        total = (total + int.from_bytes(data[at:at + 16] + b"\1", "little")) * r % _POLY
    return (total + (once >> 128) & 2**128 - 1).to_bytes(16, "little")
