"""A UNIT, a PARITY, a PACK or KEYS in pieces (§3.5), and the pieces put together again, without socket and clock."""

from .records import KEYS, PACK, PARITY, UNIT, Fragment
from .wrong import require

_PATIENCE = 1
"""Seconds after which an incomplete unit may be forgotten."""


def fragments(number, whole, count):
    """The pieces of such a record, which comes with or without padding."""
    size = 4 + int.from_bytes(whole[2:4], "little")
    step = -(-size // count)
    return [Fragment(number, size, index, count, whole[:size][index * step:][:step]) for index in range(count)]


class Assembly:
    """The units of one session of which pieces have come, each known by its number and the counter of its first piece."""

    def __init__(self):
        self._units = {}

    def take(self, fragment, counter, congested, now):
        """The record that is whole now, and whether one of its pieces met congestion; or None.

        counter: that of the message which the piece came in.
        """
        require(counter >= fragment.index, "a counter less than the index")
        self._units = {key: unit for key, unit in self._units.items() if now < unit.since + _PATIENCE}
        name = fragment.number, counter - fragment.index
        unit = self._units.setdefault(name, _Unit(fragment, now))
        require((fragment.size, fragment.count) == (unit.size, unit.count), "unlike the other pieces")
        require(fragment.index not in unit.pieces, "came already")
        unit.pieces[fragment.index] = fragment.piece
        unit.congested |= congested
        if len(unit.pieces) < unit.count:
            return None
        del self._units[name]
        whole = b"".join(piece for _, piece in sorted(unit.pieces.items()))
        require(whole[0] in (UNIT, PARITY, PACK, KEYS), "what does not travel in fragments")
        return whole, unit.congested


class _Unit:
    """One that is not whole yet."""

    def __init__(self, first, now):
        self.size, self.count, self.since = first.size, first.count, now
        self.pieces, self.congested = {}, False
