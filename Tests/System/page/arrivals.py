"""What has arrived on a session, and when to report it (§3.6, §3.10), without socket and clock."""

from .records import Receipt, Report

_PAUSE, _SHARE, _LATELY = 0.05, 1000, 30
_ON_THE_WIRE = 80
"""Bytes of a datagram with a REPORT, 44 and 4 of padding, or a RECEIPT, 48; and 32 around them."""


class Arrivals:
    """Each datagram is noted; `report`, or `is_due`, is asked when one had data."""

    def __init__(self):
        self._highest, self._bitmap, self._datagrams, self._bytes = 0, 0, 0, 0
        self._last, self._at = None, 0

    def note(self, counter, size, at=0):
        ahead = counter - self._highest
        self._at = at if ahead > 0 or not self._datagrams else self._at
        self._bitmap = self._bitmap << ahead if ahead > 0 else self._bitmap
        self._highest = max(counter, self._highest)
        self._bitmap |= 1 << self._highest - counter
        self._bitmap &= 2**64 - 1
        self._datagrams += 1
        self._bytes += size

    def is_due(self, now, missed=None):
        """Whether to say it. missed: when something was missing last."""
        if self._last:
            at, size = self._last
            share = _SHARE / 10 if missed is not None and now < missed + _LATELY else _SHARE
            if now < at + _PAUSE or self._bytes < size + share * _ON_THE_WIRE:
                return False
        self._last = now, self._bytes
        return True

    def report(self, now):
        """The report that is due, or None."""
        if not self.is_due(now):
            return None
        return Report(self._highest, self._bitmap, self._datagrams, self._bytes, int(now * 1e6))

    def receipt(self, now, gaps, ranges=()):
        """What it says now. ranges: what is asked for."""
        ago = max(now - self._at, 0)
        return Receipt(self._highest, self._datagrams, self._bytes, int(self._at * 1e6) % 2**32, int(ago * 1e6),
                       gaps.lost, gaps.runs, gaps.regained, tuple(ranges))
