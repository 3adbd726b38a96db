"""One session's part in repair and parity (§3.10, §3.11), without socket and clock."""

from .gaps import Gaps
from .parity import Rows
from .sent import Sent

_UNKNOWN = 0.1
"""Seconds of a round trip before one was seen."""
_TWICE = 2


class Repair:
    """arrivals: what is noted beside. index: the session's, as the datagrams have it that come."""

    def __init__(self, arrivals, index):
        self.arrivals, self.gaps, self.sent, self.rows = arrivals, Gaps(), Sent(), Rows(index)
        self.trip = _UNKNOWN
        self._came = set()

    def is_new(self, counter):
        return counter not in self._came

    def note(self, counter, size, at, had_back=False):
        self._came.add(counter)
        self.arrivals.note(counter, size, at)
        self.gaps.note(counter, at, had_back)

    def due(self, now):
        """The RECEIPT that is due beside data, or None."""
        return self.receipt(now) if self.arrivals.is_due(now, self.gaps.last) else None

    def questions(self, now):
        """The receipts that ask for what is due now, each of them twice."""
        ranges = self.gaps.ask(now, self.trip)
        return [self.receipt(now, ranges)] * _TWICE if ranges else []

    def hear_receipt(self, receipt, now):
        """The datagrams that go again now with their ECN bits, and a GONE or None."""
        if (sent := self.sent.when(receipt.highest)) is not None:
            self.trip = max(now - sent - receipt.ago / 1e6, 0)
        return self.sent.hear_question(receipt.ranges, now, self.trip)

    def receipt(self, now, ranges=()):
        return self.arrivals.receipt(now, self.gaps, ranges)
