"""The far end of a gateway: it shakes hands, says HELLO, answers pings, and writes down what was said.

Of WireGuard's timers it has none: it neither renews a session nor sends keepalives by itself.
"""

import itertools
import os
import select
import socket
import struct
import time

from . import noise
from .agreement import Agreement
from .arrivals import Arrivals
from .choice import payloads
from .echo import echo_reply
from .fragments import Assembly, fragments
from .hello import Greeting
from .history import Histories
from .keys import KEYS, Answer, Offer, Question, Reply
from .packets import ecn as ecn_of, marked
from .pings import Pings
from .primitives import Forged
from .records import (
    BUNDLE, CONFIRM, GONE, HISTORIES, PACK, PARITIES, PARITY, PING, RECEIPT, REPORT, Bundle, Confirm, Fragment, Gone, Hello,
    History, Pack, Parity, Ping, Recall, Receipt, Stream, Unit, decode, record)
from .repair import Repair
from .transcript import Entry
from .wrong import Malformed

_TURN, _SHORT_TURN = 0.02, 0.002
"""Seconds; the short one while something is missing."""
_PATIENCE = 3
"""Sessions in which the other end may be silent before this one stops to repeat its HELLO."""
_CONGESTED = 3
_EVERYTHING = PARITIES._replace(records=PARITIES.records | HISTORIES.records | {CONFIRM, PACK, KEYS})
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35


class Peer:
    """An endpoint on a UDP socket, driven by `run`.

    gateway: the other's address; a responder may leave it out. own: what this end announces.
    greets: False makes it mute, as a stock WireGuard peer is: no HELLO, no record.
    tap: where packets come from and go to; without, pings are answered.
    lose: asked of each entry that comes, whether the path has lost it: then it stands in `lost`, and `had_back` if rows gave it.
    repairs: whether questions are asked and answered by itself, where both ends announced RECEIPT and GONE.
    agreement: what is known of keys, where both ends announced KEYS; large records of that go in so many `pieces`.
    """

    def __init__(self, socket, keys, gateway=None, own=Hello(), greets=True, tap=None, repairs=True):
        self.socket, self.keys, self.gateway, self.own, self.greets = socket, keys, gateway, own, greets
        self.transcript, self.tap, self.repairs = [], tap, repairs
        self.lose, self.lost, self.had_back = lambda entry: False, [], []
        self.histories = Histories()
        self._lines, self._current, self._initiation, self._says_hello = {}, None, None, True
        self._initiated_at = 0.0
        self.agreement, self.pieces = Agreement(keys), 1
        _prepare(socket)

    def connect(self, hello=True, timeout=10):
        """Makes a new session as the initiator; its first message is HELLO, or a keepalive from a mute one.

        hello: False leaves it to the caller to confirm, or not, what was said before.
        """
        old, self._says_hello = self._current, hello
        self._initiate(self.gateway)
        self.run(lambda: self._current is not old, "a response", timeout)

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
        return [packet for entry in self.heard((bytes, Unit, Bundle, Pack), since) for packet in entry.packets]

    @property
    def line(self):
        """The newest session and what belongs to it."""
        return self._current

    @property
    def session(self):
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

    def _does_repair(self, line):
        return self._takes(line, RECEIPT) and self._takes(line, GONE)

    def _turn(self):
        turn = _TURN
        if self._current:
            self._say(self._current, self._current.greeting.repeat(time.monotonic()))
            if self.repairs and self._does_repair(self._current):
                turn = _SHORT_TURN if self._current.repair.gaps.missing else _TURN
                for question in self._current.repair.questions(time.monotonic()):
                    self.send(question.encode())
        ready, _, _ = select.select([self.socket, *([self.tap] if self.tap else [])], [], [], turn)
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
            response, session = noise.respond(self.keys, datagram, _index(), self.agreement.choose(time.monotonic()))
            self._add(session)
            self.socket.sendto(response, source)
        elif kind == noise.RESPONSE and self._initiation:
            line = self._add(self._initiation.finish(datagram, self.agreement.candidates))
            if not self._says_hello:
                line.greeting.leave_out(time.monotonic())
            self._confirm(line, source, line.greeting.begin(time.monotonic()))
            if not self.greets or not self._says_hello:
                self.send(b"")
        elif kind == noise.COOKIE_REPLY and self._initiation:
            self._initiate(source, self._initiation.cookie(datagram))
        elif kind == noise.TRANSPORT and index in self._lines:
            self._receive(self._lines[index], datagram, source, traffic_class, at)

    def _receive(self, line, datagram, source, traffic_class, at, had_back=False):
        payload, now = line.session.open(datagram), time.monotonic()
        (counter,) = struct.unpack_from("<Q", datagram, 8)
        entry, answer = self._entry(at, False, payload, len(datagram), traffic_class, counter, datagram), None
        if not had_back and self.lose(entry):
            self.lost.append(entry)
            return
        if self._does_repair(line) and not line.repair.is_new(counter):
            return
        self.had_back += [entry] * had_back
        line.repair.note(counter, len(datagram), at, had_back)
        self.transcript.append(entry)
        if isinstance(entry.what, Hello):
            answer = line.greeting.hear_hello(entry.what, now)
        elif not isinstance(entry.what, (bytes, Confirm, Malformed, type(None))):
            line.greeting.hear_record()
        # A responder's first HELLO may be the answer to the one that confirms the session.
        self._confirm(line, source, answer or line.greeting.begin(now))
        if isinstance(entry.what, Hello) and self._takes(line, KEYS) and not line.has_greeted:
            line.has_greeted = True
            self._send_keys(line, self.agreement.greet(line.session))
        if isinstance(entry.what, Ping):
            self._hear_ping(line, entry.what, now)
        elif isinstance(entry.what, Fragment):
            entry = self._hear_piece(line, entry, now)
        elif self.repairs and self._does_repair(line):
            self._hear_repair(line, entry.what, now)
        if isinstance(entry.what, (Offer, Reply, Question, Answer)):
            answers, wants_session = self.agreement.hear(entry.what, line.session)
            self._send_keys(line, answers)
            if wants_session:
                self._initiate(source)
        if isinstance(entry.what, (History, Recall, Stream)):
            entry = self._hear_history(line, entry)
        if isinstance(entry.what, (bytes, Unit, Bundle, Pack, Fragment, Recall, Stream)):
            self._hear_data(line, entry, now)
        if self._takes(line, PARITY):
            had = line.repair.rows.note(counter, datagram)
            had += line.repair.rows.take(entry.what) if isinstance(entry.what, Parity) else []
            for one in had:
                self._receive(line, one, source, 0, now, had_back=True)

    def _hear_ping(self, line, ping, now):
        if ping.answer:
            line.pings.hear_answer(ping, now)
        elif self._takes(line, PING):
            self._send(line, Ping(ping.token, True).encode())

    def _hear_piece(self, line, entry, now):
        """The entry of what is whole now, or the piece's own."""
        try:
            whole = line.assembly.take(entry.what, entry.counter, _congested(entry), now)
        except Malformed as reason:
            self.transcript.append(Entry(entry.at, False, reason))
            return entry
        if not whole:
            return entry
        payload, congested = whole
        return self._note(entry.at, False, payload, 0, entry.traffic_class | _CONGESTED * congested, entry.counter)

    def _send_keys(self, line, records):
        for whole in (one.encode() for one in records):
            large = self.pieces > 1 and len(whole) > 32
            for payload in [one.encode() for one in fragments(next(line.numbers), whole, self.pieces)] if large else [whole]:
                self._send(line, payload)

    def _hear_history(self, line, entry):
        """The entry of what a unit was decoded to, or its own."""
        plain, words = self.histories.hear(entry.what)
        for word in words:
            self._send(line, word.encode())
        if plain is None:
            return entry
        return self._note(entry.at, False, record(BUNDLE, 0, plain), 0, entry.traffic_class, entry.counter)

    def _hear_data(self, line, entry, now):
        if self._does_repair(line):
            report = line.repair.due(now) if self.repairs else None
        else:
            report = line.arrivals.report(now) if self._takes(line, REPORT) else None
        if report:
            self._send(line, report.encode())
        for packet in entry.packets:
            if not _congested(entry) or ecn_of(packet):
                self._deliver(marked(packet) if _congested(entry) else packet)

    def _hear_repair(self, line, what, now):
        if isinstance(what, Receipt):
            again, gone = line.repair.hear_receipt(what, now)
            for datagram, ecn in again:
                self.transmit(datagram, ecn)
            if gone:
                self._send(line, gone.encode())
        elif isinstance(what, Gone):
            line.repair.gaps.hear_gone(what.ranges)

    def _deliver(self, packet):
        if self.tap:
            self.tap.write(packet)
        elif reply := echo_reply(packet):
            self.send_packets(reply)

    def _confirm(self, line, source, hello):
        if not line.confirmed:
            line.confirmed, self._current = True, line
            self.agreement.note_session(line.session)
        self.gateway = source
        self._say(line, hello)

    def _initiate(self, gateway, cookie=None):
        # One so soon after the last is taken for a flood.
        time.sleep(max(0, self._initiated_at + 0.05 - time.monotonic()))
        self._initiated_at = time.monotonic()
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

    def seal(self, line, payload, ecn=0, counter=None):
        """The entry of a payload that is sealed and kept, and not sent yet."""
        now, sealed = time.monotonic(), line.session.counter if counter is None else counter
        datagram = line.session.seal(payload, counter)
        line.repair.sent.keep(sealed, datagram, ecn, now)
        return self._note(now, True, payload, len(datagram), ecn, sealed, datagram)

    def transmit(self, datagram, ecn=0):
        self.socket.sendmsg([datagram], [(socket.IPPROTO_IP, socket.IP_TOS, struct.pack("i", ecn))], 0, self.gateway)

    def _send(self, line, payload, ecn=0, counter=None):
        self.transmit(self.seal(line, payload, ecn, counter).datagram, ecn)

    def _note(self, *about):
        self.transcript.append(self._entry(*about))
        return self.transcript[-1]

    def _entry(self, at, sent, payload, *about):
        try:
            what = decode(payload, _EVERYTHING if sent else self.own)
        except Malformed as reason:
            what = reason
        return Entry(at, sent, what, *about, payload=payload)


class _Line:
    """A session and what belongs to it."""

    def __init__(self, session, greeting):
        self.session, self.greeting, self.confirmed = session, greeting, False
        self.arrivals, self.assembly, self.pings = Arrivals(), Assembly(), Pings()
        self.repair, self.has_greeted = Repair(self.arrivals, session.index), False
        self.numbers = (number % 2**16 for number in itertools.count())


def _congested(entry):
    return entry.traffic_class & _CONGESTED == _CONGESTED


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
