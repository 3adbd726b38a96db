"""The far end of a gateway: it shakes hands, says HELLO, answers pings, and writes down what was said.

Of WireGuard's timers it has none: it neither renews a session nor sends keepalives by itself.
"""

import itertools
import os
import select
import socket
import struct
import time
from typing import NamedTuple

from . import noise
from .arrivals import Arrivals
from .choice import payloads
from .echo import echo_reply
from .fragments import Assembly
from .hello import Greeting
from .packets import ecn as ecn_of, marked
from .pings import Pings
from .primitives import Forged
from .records import CONFIRM, EVERYTHING, PING, REPORT, Bundle, Confirm, Fragment, Hello, Ping, Report, Unit, decode
from .wrong import Malformed

_TURN = 0.02
_PATIENCE = 3
"""Sessions in which the other end may be silent before this one stops to repeat its HELLO."""
_CONGESTED = 3
_EVERYTHING = EVERYTHING._replace(records=EVERYTHING.records | {CONFIRM})
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35


class Entry(NamedTuple):
    """One payload of the transcript, or a UNIT put together from fragments."""

    at: float
    """Monotonic seconds: when the kernel got it, or it was sent."""
    sent: bool
    what: Hello | Unit | Bundle | Fragment | Report | Ping | Confirm | bytes | Malformed | None
    """bytes: a plain packet. None: a keepalive."""
    size: int = 0
    """Bytes of the datagram; 0 if what came in it stands in entries before."""
    traffic_class: int = 0
    """Of the datagram."""
    counter: int = 0
    payload: bytes = b""
    """As it was, with what stands behind a packet."""

    @property
    def packets(self):
        return {bytes: lambda: [self.what], Unit: lambda: self.what.packets, Bundle: lambda: self.what.packets}.get(
            type(self.what), lambda: [])()


class Peer:
    """An endpoint on a UDP socket, driven by `run`.

    gateway: the other's address; a responder may leave it out. own: what this end announces.
    greets: False makes it mute, as a stock WireGuard peer is: no HELLO, no record.
    tap: where packets come from and go to; without, pings are answered.
    """

    def __init__(self, socket, keys, gateway=None, own=Hello(), greets=True, tap=None):
        self.socket, self.keys, self.gateway, self.own, self.greets = socket, keys, gateway, own, greets
        self.transcript, self.tap = [], tap
        self._lines, self._current, self._initiation, self._says_hello = {}, None, None, True
        _prepare(socket)

    def connect(self, hello=True):
        """Makes a new session as the initiator; its first message is HELLO, or a keepalive from a mute one.

        hello: False leaves it to the caller to confirm, or not, what was said before.
        """
        old, self._says_hello = self._current, hello
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

    def settle(self, quiet=0.3, timeout=60):
        """Serves until nothing has come for so many seconds, and nothing waits unread because this process got no turn."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            before = len(self.transcript)
            self.listen(quiet)
            if len(self.transcript) == before and not select.select([self.socket], [], [], 0)[0]:
                return
        raise AssertionError(f"did not fall silent in {timeout} s")

    def heard(self, kind, since=0):
        """The entries of that kind that came from the gateway, of those from a place in the transcript on."""
        return [entry for entry in self.transcript[since:] if not entry.sent and isinstance(entry.what, kind)]

    def packets(self, since=0):
        """The packets that came from the gateway, likewise."""
        return [packet for entry in self.heard((bytes, Unit, Bundle), since) for packet in entry.packets]

    @property
    def session(self):
        """The newest session."""
        return self._current.session

    @property
    def trips(self):
        """Seconds that each PING of the newest session took."""
        return self._current.pings.trips

    def send(self, payload, ecn=0):
        """Sends a payload as it is, by the newest session."""
        self._send(self._current, payload, ecn)

    def send_in(self, order, payloads):
        """Sends payloads with the counters that they have in their list, in the order of the places that are given."""
        line = self._current
        first, line.session.counter = line.session.counter, line.session.counter + len(payloads)
        for place in order:
            self._send(line, payloads[place], counter=first + place)

    def send_packets(self, *packets):
        """Sends IP packets, as records where the page allows it."""
        line, size = self._current, 0
        line.greeting.send_data()
        for payload, ecn in payloads(packets, self.greets and line.greeting.peer, line.numbers):
            self.send(payload, ecn)
            size += len(payload)
        # Not before: nothing comes between the pieces of a unit.
        ping = line.pings.send_data(size, time.monotonic())
        if ping and self._takes(line, PING):
            self.send(ping.encode())

    def _takes(self, line, kind):
        """Whether both ends announced that type of record."""
        theirs = line.greeting.peer
        return self.greets and theirs and kind in theirs.records & self.own.records

    def _turn(self):
        if self._current:
            self._say(self._current, self._current.greeting.repeat(time.monotonic()))
        ready, _, _ = select.select([self.socket, *([self.tap] if self.tap else [])], [], [], _TURN)
        if self.tap in ready and (packets := self.tap.read()) and self._current:
            self.send_packets(*packets)
        if self.socket in ready:
            datagram, control, _, source = self.socket.recvmsg(65_535, 128)
            try:
                self._take(datagram, source, *_about(control))
            except Forged:
                pass

    def _take(self, datagram, source, traffic_class, at):
        kind, index = struct.unpack_from("<II", datagram.ljust(8, b"\0"))
        if kind == noise.INITIATION:
            response, session = noise.respond(self.keys, datagram, _index())
            self._add(session)
            self.socket.sendto(response, source)
        elif kind == noise.RESPONSE and self._initiation:
            line = self._add(self._initiation.finish(datagram))
            if not self._says_hello:
                line.greeting.leave_out(time.monotonic())
            self._confirm(line, source, line.greeting.begin(time.monotonic()))
            if not self.greets or not self._says_hello:
                self.send(b"")
        elif kind == noise.COOKIE_REPLY and self._initiation:
            self._initiate(source, self._initiation.cookie(datagram))
        elif kind == noise.TRANSPORT and index in self._lines:
            self._receive(self._lines[index], datagram, source, traffic_class, at)

    def _receive(self, line, datagram, source, traffic_class, at):
        payload, now = line.session.open(datagram), time.monotonic()
        (counter,) = struct.unpack_from("<Q", datagram, 8)
        line.arrivals.note(counter, len(datagram))
        entry, answer = self._note(at, False, payload, len(datagram), traffic_class, counter), None
        if isinstance(entry.what, Hello):
            answer = line.greeting.hear_hello(entry.what, now)
        elif not isinstance(entry.what, (bytes, Confirm, Malformed, type(None))):
            line.greeting.hear_record()
        # A responder's first HELLO may be the answer to the one that confirms the session.
        self._confirm(line, source, answer or line.greeting.begin(now))
        if isinstance(entry.what, Ping):
            self._hear_ping(line, entry.what, now)
        elif isinstance(entry.what, (bytes, Unit, Bundle, Fragment)):
            self._hear_data(line, entry, now)

    def _hear_ping(self, line, ping, now):
        if ping.answer:
            line.pings.hear_answer(ping, now)
        elif self._takes(line, PING):
            self._send(line, Ping(ping.token, True).encode())

    def _hear_data(self, line, entry, now):
        if self._takes(line, REPORT) and (report := line.arrivals.report(now)):
            self._send(line, report.encode())
        congested = entry.traffic_class & _CONGESTED == _CONGESTED
        if isinstance(entry.what, Fragment):
            try:
                whole = line.assembly.take(entry.what, entry.counter, congested, now)
            except Malformed as reason:
                self.transcript.append(Entry(entry.at, False, reason))
                return
            if not whole:
                return
            payload, congested = whole
            entry = self._note(entry.at, False, payload, 0, entry.traffic_class, entry.counter)
        for packet in entry.packets:
            if not congested or ecn_of(packet):
                self._deliver(marked(packet) if congested else packet)

    def _deliver(self, packet):
        if self.tap:
            self.tap.write(packet)
        elif reply := echo_reply(packet):
            self.send_packets(reply)

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

    def _send(self, line, payload, ecn=0, counter=None):
        sealed = line.session.counter if counter is None else counter
        datagram = line.session.seal(payload, counter)
        self._note(time.monotonic(), True, payload, len(datagram), ecn, sealed)
        self.socket.sendmsg([datagram], [(socket.IPPROTO_IP, socket.IP_TOS, struct.pack("i", ecn))], 0, self.gateway)

    def _note(self, at, sent, payload, *about):
        try:
            what = decode(payload, _EVERYTHING if sent else self.own)
        except Malformed as reason:
            what = reason
        self.transcript.append(Entry(at, sent, what, *about, payload=payload))
        return self.transcript[-1]


class _Line:
    """A session and what belongs to it."""

    def __init__(self, session, greeting):
        self.session, self.greeting, self.confirmed = session, greeting, False
        self.arrivals, self.assembly, self.pings = Arrivals(), Assembly(), Pings()
        self.numbers = (number % 2**16 for number in itertools.count())


def _prepare(bound):
    bound.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    bound.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    bound.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)


def _about(control):
    """The traffic class of a datagram, and when it came, by the clock that does not jump."""
    told = {kind: value for _, kind, value in control}
    seconds, nanoseconds = struct.unpack("qq", told[_SO_TIMESTAMPNS])
    return told[socket.IP_TOS][0], time.monotonic() - time.time() + seconds + nanoseconds / 1e9


def _index():
    return int.from_bytes(os.urandom(4), "little")
