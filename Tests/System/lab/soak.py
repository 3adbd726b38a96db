"""A path that does everything wrong, for as long as one likes, under TCP streams both ways of which every byte is looked at.

The wire's faults change every few seconds: rate, delay, loss one by one and in bursts, reordering, duplicates, corruption. Between
them it goes away altogether, and the daemons are ended and started again. What happens when depends on the seed alone.
"""

import contextlib
import random
import signal
import socket
import statistics
import threading
import time
from typing import NamedTuple

from . import payload
from .topology import Lab
from .traffic import tcp_socket
from .link import link
from .waiting import wait_until

CHUNK = 64 << 10
PORT = 7600
PATIENCE = 240
"""Seconds without a byte, on a wire that is there, after which a stream counts as stuck: TCP itself asks every 120 s at the longest."""

_FAULTS = {
    "rate": (2, 5, 20, 20, 100), "delay": (1, 5, 20, 20, 75, 150), "loss": (0, 0.1, 1, 1, 3, 5), "burst": (0, 0, 0, 10),
    "reorder": (0, 0, 1, 5), "hold": (2, 10, 20), "duplicate": (0, 0, 1, 10), "corrupt": (0, 0, 0.1, 1)}


class Event(NamedTuple):
    """What happens beside the faults, and for how long, in seconds."""

    name: str
    seconds: float


_EVENTS = [Event("away", 0.5), Event("away", 5), Event("restart", 0), Event("kill", 0)]


class Recovery(NamedTuple):
    event: Event
    seconds: float
    """From the end of the event to the first byte on every stream."""


class Report(NamedTuple):
    received: dict
    """Bytes by stream."""
    wrong: list
    """What was not as it was sent: stream and place of the chunk."""
    stuck: list
    """Streams that stood still for longer than `PATIENCE`, or that ended."""
    recoveries: list
    longest: float
    """The longest that a stream stood still while the wire was there, seconds."""
    repair: dict
    """The peers' counts at the end, by end; those of daemons that were ended are gone."""


def soak(seconds, seed=1, peer=(), interface=(), each=8, most_away=200, say=lambda line: None):
    """Runs it and returns a `Report`.

    peer, interface: lines for both configs. each: seconds between two changes. most_away: the longest black-out.
    """
    chance = random.Random(seed)
    data = payload.text(2 << 20) + payload.random(2 << 20)
    with Lab(faults={"rate": 20, "delay": 20, "queue": 500, "seed": seed}) as lab, \
            link(lab, peer=["Compression = auto", *peer], interface=interface) as gateways, \
            contextlib.ExitStack() as stack:
        streams = [stack.enter_context(_Stream(name, one.host, other.host, other.v4, PORT + number, data))
                   for number, (name, one, other) in enumerate((("there", lab.a, lab.b), ("back", lab.b, lab.a)) * 2)]
        recoveries, end, turn = [], time.monotonic() + seconds, 0
        while time.monotonic() < end:
            turn += 1
            faults = {name: chance.choice(values) for name, values in _FAULTS.items()}
            if not faults["loss"]:
                faults["burst"] = 0
            lab.link.change(**faults)
            say(f"{max(0, end - time.monotonic()):5.0f} s to go, " + ", ".join(
                f"{name} {value:g}" for name, value in faults.items() if value)
                + "; " + ", ".join(f"{one.received >> 20} MB {one.name}" for one in streams[:2]))
            time.sleep(each)
            if turn % 3 == 0:
                event = chance.choice(_EVENTS)
                if turn == 12 and most_away > 5:
                    event = Event("away", most_away)
                recoveries.append(_happen(event, lab, gateways, faults, chance, streams, say))
            if any(one.failed for one in streams):
                break
        repair = {one.name: one.peer().get("repair") for one in gateways}
        return Report({f"{one.name} {one.port}": one.received for one in streams},
                      [wrong for one in streams for wrong in one.wrong],
                      [one.failed for one in streams if one.failed], recoveries,
                      max(one.longest for one in streams), repair)


def _happen(event, lab, gateways, faults, chance, streams, say):
    """Lets it happen, and waits until every stream goes on."""
    if event.name == "away":
        lab.link.change(loss=100, burst=0)
        for one in streams:
            one.pauses = True
        time.sleep(event.seconds)
        lab.link.change(loss=faults["loss"], burst=faults["burst"])
    else:
        gateway = chance.choice(gateways)
        for one in streams:
            one.pauses = True
        gateway.stop(signal.SIGKILL if event.name == "kill" else signal.SIGTERM)
        gateway.start()
        wait_until(gateway._ready, "the daemon serves again", timeout=15)
    before, start, first = [one.received for one in streams], time.monotonic(), {}
    for one in streams:
        one.pauses = False
    while len(first) < len(streams) and time.monotonic() - start < PATIENCE and not any(one.failed for one in streams):
        for number, one in enumerate(streams):
            if one.received > before[number]:
                first.setdefault(number, time.monotonic() - start)
        time.sleep(0.02)
    took = max(first.values(), default=PATIENCE) if len(first) == len(streams) else PATIENCE
    say(f"        {event.name} {event.seconds:g} s: all streams went on after {took:.2f} s")
    return Recovery(event, took)


class _Stream:
    """One connection that carries the same data around and around; every chunk is compared with what was sent.

    pauses: what happens now is not the tunnel's doing, and standing still does not count.
    """

    def __init__(self, name, sender, receiver, address, port, data):
        self.name, self.sender, self.receiver, self.address, self.port, self.data = name, sender, receiver, address, port, data
        self.received, self.wrong, self.failed, self.longest = 0, [], None, 0.0
        self.pauses = self._ending = False

    def __enter__(self):
        with tcp_socket(self.receiver, self.address, 20) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.address, self.port))
            listener.listen(1)
            self._out = tcp_socket(self.sender, self.address, 20)
            self._out.connect((self.address, self.port))
            self._in = listener.accept()[0]
        self._out.settimeout(None)
        self._in.settimeout(0.5)
        self._threads = [threading.Thread(target=act, daemon=True) for act in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending = True
        for end in (self._out, self._in):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._out.close()
        self._in.close()

    def _send(self):
        try:
            while not self._ending:
                self._out.sendall(self.data)
        except OSError as error:
            self._fail(f"the sender: {error}")

    def _receive(self):
        last = time.monotonic()
        while not self._ending:
            try:
                got = self._in.recv(CHUNK)
                if not got:
                    return self._fail("the connection ended")
                self._compare(got)
            except TimeoutError:
                got = b""
            except OSError as error:
                return self._fail(f"the receiver: {error}")
            now = time.monotonic()
            if got or self.pauses:
                if got and not self.pauses:
                    self.longest = max(self.longest, now - last)
                last = now
            elif now - last > PATIENCE:
                return self._fail(f"nothing came for {PATIENCE} s")

    def _compare(self, got):
        place = self.received % len(self.data)
        expected = self.data[place:place + len(got)]
        if len(expected) < len(got):
            expected += self.data[:len(got) - len(expected)]
        if got != expected:
            self.wrong.append((self.name, self.port, self.received))
        self.received += len(got)

    def _fail(self, why):
        if not self._ending:
            self.failed = self.failed or f"{self.name}, port {self.port}: {why}"


def summary(report):
    """The report in lines."""
    total = sum(report.received.values())
    yield f"{total / 1e6:.0f} MB in {len(report.received)} streams, {len(report.wrong)} chunks wrong, {len(report.stuck)} streams stuck"
    yield from (f"  {one}" for one in (*report.wrong[:5], *report.stuck))
    for event in sorted({one.event for one in report.recoveries}):
        times = [one.seconds for one in report.recoveries if one.event == event]
        label = f"{event.name} {event.seconds:g} s" if event.seconds else event.name
        yield (f"{label}: {len(times)} times; all streams went on after {statistics.median(times):.2f} s (median),"
               f" {max(times):.2f} s at the latest")
    yield f"the longest that a stream stood still beside: {report.longest:.2f} s"
    for name, counts in report.repair.items():
        if counts:
            yield f"{name}: " + ", ".join(f"{what} {number}" for what, number in counts.items() if number)
