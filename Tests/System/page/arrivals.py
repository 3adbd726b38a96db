"""What has arrived on a session, and when to report it (§3.6), without socket and clock."""

from .records import Report

_PAUSE, _SHARE = 0.05, 1000
_ON_THE_WIRE = 80
"""Bytes of a datagram with a REPORT: 44 and 4 of padding, 32 around them."""


class Arrivals:
    """Each datagram is noted; `report` is asked when one had data."""

    def __init__(self):
        self._highest, self._bitmap, self._datagrams, self._bytes = 0, 0, 0, 0
        self._last = None

    def note(self, counter, size):
        ahead = counter - self._highest
        self._bitmap = self._bitmap << ahead if ahead > 0 else self._bitmap
        self._highest = max(counter, self._highest)
        self._bitmap |= 1 << self._highest - counter
        self._bitmap &= 2**64 - 1
        self._datagrams += 1
        self._bytes += size

    def report(self, now):
        """The report that is due, or None."""
        if self._last:
            at, size = self._last
            if now < at + _PAUSE or self._bytes < size + _SHARE * _ON_THE_WIRE:
                return None
        self._last = now, self._bytes
        return Report(self._highest, self._bitmap, self._datagrams, self._bytes, int(now * 1e6))
