"""The questions of one session (§3.7), without socket and clock."""

import os

from .records import Ping

_PAUSE, _SHARE = 1, 1000
_ON_THE_WIRE = 48
"""Bytes of a datagram with a PING: 12 and 4 of padding, 32 around them."""


class Pings:
    def __init__(self):
        self._data, self._asked, self._token = 0, None, None
        self.trips = []
        """Seconds from a question to its answer."""

    def send_data(self, size, now):
        """The question that is due, or None."""
        self._data += size
        if self._data < _SHARE * _ON_THE_WIRE or self._asked is not None and now < self._asked + _PAUSE:
            return None
        self._data, self._asked, self._token = 0, now, os.urandom(8)
        return Ping(self._token)

    def hear_answer(self, ping, now):
        if ping.token == self._token:
            self.trips.append(now - self._asked)
            self._token = None
