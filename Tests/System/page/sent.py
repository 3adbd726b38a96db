"""What was sent and may be sent again (§3.10, "Sending again"), without socket and clock."""

from .gaps import RANGES, ranges_of
from .records import Gone

_KEPT, _TRIPS, _AT_LEAST = 4096, 4, 1
"""Datagrams at most; round trips, and seconds at least, since this end is slow."""
_SHARE, _LITTLE = 10, 20_000


class Sent:
    """The datagrams of one session, sealed, by counter."""

    def __init__(self):
        self._kept, self._allowed = {}, _LITTLE

    def keep(self, counter, datagram, ecn, now):
        self._kept[counter] = _Kept(datagram, ecn, now)
        self._allowed += len(datagram) / _SHARE
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]

    def when(self, counter):
        """When it was sent first, if it is kept and was never sent again: then its round trip is known."""
        one = self._kept.get(counter)
        return one.first if one and one.first == one.last else None

    def of(self, counters):
        """Datagrams by counter, for parity."""
        return {counter: self._kept[counter].datagram for counter in counters}

    def hear_question(self, ranges, now, trip):
        """What goes again now, as datagrams with their ECN bits; and the GONE of the rest, or None."""
        again, gone = [], []
        for counter in (counter for one in ranges for counter in one):
            one = self._kept.get(counter)
            if not one or now > one.first + max(_TRIPS * trip, _AT_LEAST) or len(one.datagram) > self._allowed:
                gone.append(counter)
            elif now >= one.last + trip:
                one.last, self._allowed = now, self._allowed - len(one.datagram)
                again.append((one.datagram, one.ecn))
        ranges = tuple(ranges_of(gone)[:RANGES])
        return again, Gone(ranges[0].stop, ranges) if ranges else None


class _Kept:
    def __init__(self, datagram, ecn, now):
        self.datagram, self.ecn, self.first, self.last = datagram, ecn, now, now
