"""The far end of a gateway: it shakes hands, says HELLO, answers pings, and writes down what was said.

Of WireGuard's timers it has none: it neither renews a session nor sends keepalives by itself.
"""

import os
import struct
import time
from typing import NamedTuple

from . import noise
from .echo import echo_reply
from .hello import Greeting
from .primitives import Forged
from .records import DEFLATE, Hello, Malformed, Unit, decode, padded, unit

_TURN = 0.02
_PATIENCE = 3
"""Sessions in which the other end may be silent before this one stops to repeat its HELLO."""


class Entry(NamedTuple):
    """One payload of the transcript."""

    at: float
    sent: bool
    what: Hello | Unit | bytes | Malformed | None
    """bytes: a plain packet. None: a keepalive."""


class Peer:
    """An endpoint on a UDP socket, driven by `run`.

    gateway: the other's address; a responder may leave it out. own: what this end announces.
    greets: False makes it mute, as a stock WireGuard peer is: no HELLO, no UNIT.
    """

    def __init__(self, socket, keys, gateway=None, own=Hello(), greets=True):
        self.socket, self.keys, self.gateway, self.own, self.greets = socket, keys, gateway, own, greets
        self.transcript = []
        self._lines, self._current, self._initiation = {}, None, None
        socket.settimeout(_TURN)

    def connect(self):
        """Makes a new session as the initiator; its first message is HELLO, or a keepalive from a mute one."""
        old = self._current
        self._initiate(self.gateway)
        self.run(lambda: self._current is not old, "a response")

    def run(self, until, what, timeout=10):
        """Serves the socket until the condition is true, and returns what it gave."""
        deadline = time.monotonic() + timeout
        while not (answer := until()):
            assert time.monotonic() < deadline, f"waited {timeout:g} s in vain for {what}: {self.transcript[-8:]}"
            self._turn()
        return answer

    def listen(self, seconds):
        end = time.monotonic() + seconds
        self.run(lambda: time.monotonic() >= end, "the end", seconds + 5)

    def heard(self, kind):
        """The entries of that kind that came from the gateway."""
        return [entry for entry in self.transcript if not entry.sent and isinstance(entry.what, kind)]

    def send(self, payload):
        """Sends a payload as it is, by the newest session."""
        self._send(self._current, payload)

    def send_packet(self, packet):
        """Sends an IP packet, as a UNIT where the page allows one."""
        theirs, payload, compressed = self._current.greeting.peer, padded(packet), unit(packet)
        allowed = self.greets and theirs and DEFLATE in theirs.codecs and len(packet) <= theirs.maximum_unit
        self._current.greeting.send_data()
        self.send(compressed if allowed and len(compressed) < len(payload) else payload)

    def _turn(self):
        if self._current:
            self._say(self._current, self._current.greeting.repeat(time.monotonic()))
        try:
            self._take(*self.socket.recvfrom(65_535))
        except (TimeoutError, Forged):
            pass

    def _take(self, datagram, source):
        kind, index = struct.unpack_from("<II", datagram.ljust(8, b"\0"))
        if kind == noise.INITIATION:
            response, session = noise.respond(self.keys, datagram, _index())
            self._add(session)
            self.socket.sendto(response, source)
        elif kind == noise.RESPONSE and self._initiation:
            line = self._add(self._initiation.finish(datagram))
            self._confirm(line, source, line.greeting.begin(time.monotonic()))
            if not self.greets:
                self.send(b"")
        elif kind == noise.COOKIE_REPLY and self._initiation:
            self._initiate(source, self._initiation.cookie(datagram))
        elif kind == noise.TRANSPORT and index in self._lines:
            self._receive(self._lines[index], datagram, source)

    def _receive(self, line, datagram, source):
        what, answer, now = self._note(False, line.session.open(datagram)), None, time.monotonic()
        if isinstance(what, Hello):
            answer = line.greeting.hear_hello(what, now)
        elif isinstance(what, Unit):
            line.greeting.hear_unit()
        # A responder's first HELLO may be the answer to the one that confirms the session.
        self._confirm(line, source, answer or line.greeting.begin(now))
        packet = what.packet if isinstance(what, Unit) else what
        if isinstance(packet, bytes) and (reply := echo_reply(packet)):
            self.send_packet(reply)

    def _confirm(self, line, source, hello):
        if not line.confirmed:
            line.confirmed, self._current = True, line
        self.gateway = source
        self._say(line, hello)

    def _initiate(self, gateway, cookie=None):
        self._initiation = noise.Initiation(self.keys, _index(), cookie)
        self.socket.sendto(self._initiation.datagram, gateway)

    def _add(self, session):
        last = [line for line in self._lines.values() if line.confirmed][-_PATIENCE:]
        repeats = len(last) < _PATIENCE or any(line.greeting.peer for line in last)
        self._lines[session.index] = _Line(session, Greeting(self.own, repeats))
        return self._lines[session.index]

    def _say(self, line, hello):
        if hello and self.greets:
            self._send(line, hello.encode())

    def _send(self, line, payload):
        self._note(True, payload)
        self.socket.sendto(line.session.seal(payload), self.gateway)

    def _note(self, sent, payload):
        try:
            what = decode(payload, Hello() if sent else self.own)
        except Malformed as reason:
            what = reason
        self.transcript.append(Entry(time.monotonic(), sent, what))
        return what


class _Line:
    """A session and its greeting."""

    def __init__(self, session, greeting):
        self.session, self.greeting, self.confirmed = session, greeting, False


def _index():
    return int.from_bytes(os.urandom(4), "little")
