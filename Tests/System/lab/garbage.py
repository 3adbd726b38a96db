"""Datagrams that no gateway would send: random, cut short, with a bit flipped."""

import random

LARGEST = 65_507


def lengths():
    """Every length to 2,000 and then in steps to the largest that UDP carries."""
    return [*range(2001), *range(2000, LARGEST, 997), 65_535 - 28 - 1, LARGEST]


def of_every_length(seed):
    """Random bytes, of each length once as they are and once dressed as each message type."""
    chance = random.Random(seed)
    for length in lengths():
        body = chance.randbytes(length)
        yield body
        if length >= 4:
            yield bytes([chance.randint(1, 4), 0, 0, 0]) + body[4:]
    for kind, length in ((1, 148), (2, 92), (3, 64), (4, 32)):
        for _ in range(50):
            yield bytes([kind, 0, 0, 0]) + chance.randbytes(length - 4)


def from_real(datagrams, seed):
    """Real datagrams cut at every length, with each bit of the head and many others flipped, and lengthened."""
    chance = random.Random(seed)
    for real in datagrams:
        yield from (real[:length] for length in range(len(real)))
        bits = set(range(min(len(real) * 8, 256))) | {chance.randrange(len(real) * 8) for _ in range(200)}
        for bit in sorted(bits):
            flipped = bytearray(real)
            flipped[bit // 8] ^= 1 << bit % 8
            yield bytes(flipped)
        yield real + b"\0"
        yield real + chance.randbytes(16)
