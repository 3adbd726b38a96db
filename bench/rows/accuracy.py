"""How well the rate is kept: a flood of UDP above it, and what is on the wire.

The wire is a veth, so that nothing but the gateway shapes. What stands there as one frame for several datagrams (GSO) is
counted as them, headers included, all at the moment when the frame was sent.
"""

import contextlib
import os
import socket
import threading
import time
from typing import NamedTuple, Optional

from lab.pace import Pace

from .capture import Capture
from .place import Place, qdisc_bytes
from .row import Case, Column, Row

SECONDS = 10
RATES = {"64kbit": 64e3, "1mbit": 1e6, "20mbit": 20e6, "200mbit": 200e6, "1gbit": 1e9}
WINDOW = 0.1
"""Seconds, in none of which there may be more than the rate and two datagrams."""
_MOST = 1.2
"""The flood, as a part of the rate."""
_PAYLOAD = 1392
"""Bytes of UDP payload that fill a packet of 1420."""
_DATAGRAM = 1494
"""Bytes of the frame that such a packet becomes."""
_RUN, _FAST = 40, 50e6
"""Datagrams that the flood sends at once (UDP_SEGMENT), and from which rate on."""
_WARM_UP = 1.5
_UDP_SEGMENT, _PORT = 103, 7200


class Accuracy(NamedTuple):
    ratio: float
    """Bits on the wire for each that the rate allows."""
    excess: Optional[float]
    """The most that any window held beyond the rate, in datagrams; None if the capture did not keep up."""
    shortfall: Optional[float]
    """The most that a window lacked."""
    run: Optional[int]
    """Datagrams in the largest frame."""
    wire: float
    """Mbit/s."""
    offered: float
    """Bits that the flood would be on the wire, for each that the rate allows."""


def measure(case, options, number):
    name = case.of["setting"]
    rate = RATES[name]
    with Place() as place, place.tunnel("gateway", a={"interface": [f"Rate = {name}"]}):
        wan = place.a.gateway
        wan.run("tc", "qdisc", "add", "dev", "wan", "root", "pfifo", "limit", 10000)
        with Capture(wan, "wan") as capture, _Flood(place, rate * _MOST) as flood:
            time.sleep(_WARM_UP)
            offered, before, began, start = flood.sent, qdisc_bytes(wan, "wan"), time.time(), time.monotonic()
            time.sleep(SECONDS)
            offered, after, passed = flood.sent - offered, qdisc_bytes(wan, "wan"), time.monotonic() - start
    bits, offered = (after - before) * 8 / passed, offered * _DATAGRAM * 8 / passed / rate
    if not capture.is_whole:
        return Accuracy(bits / rate, None, None, None, bits / 1e6, offered)
    frames = capture.frames
    settled = [one for one in frames if began <= one[0] < began + SECONDS]
    # From one frame to another: of few datagrams it matters where between two of them a count begins.
    bits = sum(size for _, size, _ in settled[1:]) * 8 / (settled[-1][0] - settled[0][0])
    datagram, room = max(size / count for _, size, count in frames), rate / 8 * WINDOW
    return Accuracy(bits / rate, (fullest(frames, WINDOW) - room) / datagram, (room - emptiest(settled, WINDOW)) / datagram,
                    max(count for *_, count in frames), bits / 1e6, offered)


def fullest(frames, window):
    """The most bytes in any window."""
    most = held = first = 0
    for at, size, _ in frames:
        held += size
        while frames[first][0] <= at - window:
            held -= frames[first][1]
            first += 1
        most = max(most, held)
    return most


def emptiest(frames, window):
    """The fewest bytes in any window, which begins just after a frame."""
    least, held, after = float("inf"), 0, 0
    for number, (at, size, _) in enumerate(frames):
        while after < len(frames) and frames[after][0] <= at + window:
            held += frames[after][1]
            after += 1
        if after == len(frames):
            break
        held -= size
        least = min(least, held)
    return least


class _Flood:
    """Sends so many bits a second, on the wire, from host to host while the block runs."""

    def __init__(self, place, rate):
        self.place, self.rate, self.sent = place, rate, 0
        self._ending, self._thread = threading.Event(), threading.Thread(target=self._send, daemon=True)

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            host, target = self.place.b.host, (self.place.b.v4, _PORT)
            # It is never read: what comes is dropped, and nobody is told of a port that is closed.
            stack.enter_context(host.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(target)
            self._out = stack.enter_context(self.place.a.host.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self._out.connect(target)
            self._thread.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()
        self._stack.close()

    def _send(self):
        count = _RUN if self.rate > _FAST else 1
        if count > 1:
            self._out.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, _PAYLOAD)
        data, pace = os.urandom(_PAYLOAD * count), Pace(self.rate / 8 / (_DATAGRAM * count))
        while not self._ending.is_set():
            self._out.send(data)
            self.sent += count
            pace.wait()


ROW = Row(
    "accuracy", f"The rate on the wire, over {SECONDS} s and over any {WINDOW * 1e3:g} ms, of a flood above it",
    "within 2 %, and within two datagrams of the rate over any 100 ms",
    [Case(f"Rate = {setting}", {"setting": setting}) for setting in RATES],
    [Column("ratio", "of Rate", 4), Column("excess", "most above", 2), Column("shortfall", "most below", 2),
     Column("run", "run", 0), Column("wire", "Mbit/s", 3), Column("offered", "offered", 2)],
    measure, lambda options: 3 + _WARM_UP + SECONDS)
