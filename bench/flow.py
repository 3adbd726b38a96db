"""One TCP stream that sends a file, as a file server does, and what it was like in a window of time."""

import contextlib
import os
import re
import socket
import statistics
import struct
import subprocess
import threading
import time
from typing import NamedTuple

import cost

PORT = 7100
_TCP_CONGESTION = 13
_SO_MAX_PACING_RATE = 47
_CHUNK = 1 << 20


class Flow(NamedTuple):
    goodput: float
    """Mbit/s that the receiving program got."""
    wire: float
    """Bytes on the wire, towards the receiver, for each of these."""
    cpu: float
    """Seconds of the daemons at both ends for each GB; None without daemons."""
    ping: float
    """The median round trip beside it, ms; None if none came back."""
    repeated: bool
    """The file was sent more than once."""


def measure(road, daemons, ends, file, warm_up, seconds):
    """Sends the file, around and around, from `ends[0]` to `ends[1]` at the address `ends[2]`."""
    sender, receiver, address = ends
    with Stream(sender, receiver, address, file) as stream:
        stream.run(warm_up)
        road.wire_bytes(0)
        received, spent, start = stream.received, cost.processor_seconds(daemons), time.monotonic()
        pings = subprocess.Popen(
            sender.command("ping", "-n", "-i", 0.1, "-w", max(1, round(seconds)), address), stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        stream.run(seconds)
        received, passed = stream.received - received, time.monotonic() - start
        spent = cost.processor_seconds(daemons) - spent
        wire, wrong = road.wire_bytes(passed)
        trips = [float(trip) for trip in re.findall(r"time=([0-9.]+) ms", pings.communicate()[0])]
        repeated = stream.sent > os.path.getsize(file)
    assert received > 0, "nothing arrived"
    assert not wrong, f"the wire was not as asked for: {'; '.join(wrong)}"
    return Flow(received * 8 / passed / 1e6, wire / received, spent / (received / 1e9) if daemons else None,
                statistics.median(trips) if trips else None, repeated)


class Stream:
    """A connection between two namespaces on which a file is sent while the block runs.

    pace: bytes a second that the sender keeps to; 0: as fast as it goes. control: TCP's congestion control.
    """

    def __init__(self, sender, receiver, address, file, port=PORT, pace=0, control="cubic"):
        self.sender, self.receiver, self.address, self.file = sender, receiver, address, file
        self.port, self.pace, self.control = port, pace, control
        self.sent = self.received = 0
        self._ending = False

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(self.receiver.socket(socket.AF_INET, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # The machine's default may be BBR, which paces and hides what a link can do.
            listener.setsockopt(socket.IPPROTO_TCP, _TCP_CONGESTION, self.control.encode())
            listener.bind((self.address, self.port))
            listener.listen(1)
            listener.settimeout(10)
            self._out = stack.enter_context(self.sender.socket(socket.AF_INET, socket.SOCK_STREAM))
            self._out.setsockopt(socket.IPPROTO_TCP, _TCP_CONGESTION, self.control.encode())
            if self.pace:
                self._out.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, struct.pack("Q", int(self.pace)))
            self._out.settimeout(10)
            self._out.connect((self.address, self.port))
            self._in = stack.enter_context(listener.accept()[0])
            for end in (self._out, self._in):
                end.settimeout(None)
                # Closing throws away what is still under way.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._threads = [threading.Thread(target=act, daemon=True) for act in (self._send, self._receive)]
            for thread in self._threads:
                thread.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._ending = True
        for end in (self._out, self._in):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._stack.close()

    def run(self, seconds):
        """Lets it run so long; fails if it ends."""
        self._threads[1].join(seconds)
        assert all(thread.is_alive() for thread in self._threads), "the connection was lost"

    def _send(self):
        with open(self.file, "rb") as data, contextlib.suppress(OSError):
            size = os.path.getsize(self.file)
            while not self._ending:
                self.sent += os.sendfile(self._out.fileno(), data.fileno(), self.sent % size, _CHUNK)

    def _receive(self):
        buffer = bytearray(_CHUNK)
        with contextlib.suppress(OSError):
            while count := self._in.recv_into(buffer):
                self.received += count
