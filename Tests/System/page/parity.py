"""Rows of parity over datagrams, and datagrams had back from them (§3.11), without socket and clock."""

import functools
import struct

from .noise import TRANSPORT
from .records import Parity
from .wrong import require

PLACES, LARGEST = 64, 2046
"""Of a block, and of a datagram in one, in bytes."""
_HEAD, _POLYNOMIAL = 16, 0x11D
_KEPT = 4096
_POWERS = [1]
for _ in range(254):
    _POWERS.append(_POWERS[-1] << 1 ^ _POLYNOMIAL * (_POWERS[-1] >> 7))
_EXPONENTS = {value: exponent for exponent, value in enumerate(_POWERS)}


def power(exponent):
    """2 to this power, in GF(2⁸)."""
    return _POWERS[exponent % 255]


def product(one, other):
    return power(_EXPONENTS[one] + _EXPONENTS[other]) if one and other else 0


def inverse(value):
    return power(-_EXPONENTS[value])


def vector(datagram):
    """What of a transport message goes into rows."""
    return struct.pack("<H", len(datagram) - _HEAD) + datagram[_HEAD:]


def rows(vectors, count):
    """So many rows of vectors, which are given by their place in the block."""
    return [functools.reduce(_sum, (_times(power(number * place), one) for place, one in vectors.items()))
            for number in range(count)]


def parities(kept, count):
    """The records of one block. kept: the datagrams by counter."""
    first = min(kept)
    vectors = {counter - first: vector(one) for counter, one in kept.items()}
    assert max(vectors) < PLACES and all(len(one) <= LARGEST for one in kept.values())
    block = sum(1 << place for place in vectors)
    return [Parity(first, block, number, count, row) for number, row in enumerate(rows(vectors, count))]


def had_back(vectors, known, missing):
    """The vectors at the missing places. vectors: at the others. known: at least as many rows, by number."""
    numbers = sorted(known)[:len(missing)]
    left = {number: functools.reduce(
        _sum, (_times(power(number * place), one) for place, one in vectors.items()), known[number]) for number in numbers}
    lines = [([power(number * place) for place in missing], left[number]) for number in numbers]
    for at in range(len(missing)):
        pivot = next(n for n in range(at, len(lines)) if lines[n][0][at])
        lines[at], lines[pivot] = lines[pivot], lines[at]
        lines[at] = _scaled(inverse(lines[at][0][at]), lines[at])
        for n, line in enumerate(lines):
            if n != at:
                factors, right = _scaled(line[0][at], lines[at])
                lines[n] = [a ^ b for a, b in zip(line[0], factors)], _sum(line[1], right)
    return {place: right for place, (_, right) in zip(missing, lines)}


class Rows:
    """The rows of one session, and the datagrams that they may be of. What each method gives has been had back.

    index: the receiver index that the datagrams have.
    """

    def __init__(self, index):
        self._index, self._vectors, self._blocks = index, {}, {}

    def note(self, counter, datagram):
        """A datagram that has come."""
        self._vectors[counter] = vector(datagram)
        while len(self._vectors) > _KEPT:
            del self._vectors[next(iter(self._vectors))]
        return [one for block in list(self._blocks) if 0 <= counter - block[0] < PLACES for one in self._solve(*block)]

    def take(self, parity):
        block = parity.first, tuple(parity.counters)
        self._blocks.setdefault(block, {})[parity.number] = parity.row
        while len(self._blocks) > PLACES:
            del self._blocks[next(iter(self._blocks))]
        return self._solve(*block)

    def _solve(self, first, counters):
        known, missing = self._blocks[first, counters], [one - first for one in counters if one not in self._vectors]
        if not missing:
            del self._blocks[first, counters]
        if not missing or len(missing) > len(known):
            return []
        there = {one - first: self._vectors[one] for one in counters if one in self._vectors}
        return [self._datagram(first + place, one) for place, one in had_back(there, known, missing).items()]

    def _datagram(self, counter, had):
        (size,) = struct.unpack_from("<H", had)
        require(16 <= size <= len(had) - 2 and not any(had[2 + size:]), "no datagram follows from the rows")
        return struct.pack("<IIQ", TRANSPORT, self._index, counter) + had[2:2 + size]


@functools.cache
def _table(factor):
    return bytes(product(factor, value) for value in range(256))


def _times(factor, data):
    return data.translate(_table(factor))


def _sum(one, other):
    """Of two vectors, of which the shorter ends in zeros."""
    size = max(len(one), len(other))
    return (int.from_bytes(one, "little") ^ int.from_bytes(other, "little")).to_bytes(size, "little")


def _scaled(factor, line):
    return [product(factor, value) for value in line[0]], _times(factor, line[1])
