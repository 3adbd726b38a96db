"""Many flows of small UDP packets, as telephones and sensors send them: in bursts, and one by one."""

import contextlib
import os
import random
import signal
import socket
import struct
import time
from typing import NamedTuple

HEADERS = 28
"""Of IPv4 and UDP, inside as outside."""
_FORCED_RECEIVE_BUFFER = 33


class Bursts(NamedTuple):
    sent: list
    """For each flow, the payloads in order."""
    received: list
    datagrams: int
    """What the first gateway sent for them."""
    payload_bytes: int
    """The datagrams' bytes as UDP payload."""

    @property
    def wire_bytes(self):
        """The datagrams' bytes with their headers of IPv4 and UDP."""
        return self.payload_bytes + HEADERS * self.datagrams


def send_bursts(lab, wire, payload, gateway=None, flows=20, a_second=200, seconds=2.0, port=6000):
    """Every flow sends a packet of `payload` random bytes, one right after the other, so many times a second, from host A to B.

    gateway: the one at A, if it is to find each burst whole, as a network card hands it over that saves interrupts. It is
    stopped meanwhile, and the next burst waits until this one has arrived; else it begins with the first packet.
    """
    noise = random.Random(1)
    count = round(a_second * seconds)
    sent = [[struct.pack(">I", number) + noise.randbytes(payload - 4) for number in range(count)] for _ in range(flows)]
    with contextlib.ExitStack() as stack:
        out, into = ([_bound(stack, site, port + flow) for flow in range(flows)] for site in (lab.a, lab.b))
        for number, one in enumerate(out):
            one.connect((lab.b.v4, port + number))
        arrivals = _Arrivals(into)
        wire.settle()
        seen, start = len(wire.datagrams), time.monotonic()
        for number in range(count):
            with stopped(gateway) if gateway else contextlib.nullcontext():
                for flow in range(flows):
                    out[flow].send(sent[flow][number])
            if gateway:
                arrivals.wait((number + 1) * flows)
            time.sleep(max(0, start + (number + 1) / a_second - time.monotonic()))
        wire.settle()
        datagrams = [d for d in wire.datagrams[seen:] if d.source == lab.a.outer]
        arrivals.wait(count * flows)
    return Bursts(sent, arrivals.received, len(datagrams), sum(d.size for d in datagrams))


@contextlib.contextmanager
def stopped(daemon):
    """What comes for the daemon during the block it finds all at once afterwards."""
    daemon.process.send_signal(signal.SIGSTOP)
    # Until all its threads stand still.
    os.waitid(os.P_PID, daemon.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    try:
        yield
    finally:
        daemon.process.send_signal(signal.SIGCONT)


class Echo:
    """A packet that is alone on its way, and its echo."""

    def __init__(self, lab, payload, port=6100):
        self._lab, self._payload, self._port, self._number = lab, payload, port, 0

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._asker, self._echo = (_bound(stack, site, self._port) for site in self._lab.sites)
            self._asker.connect((self._lab.b.v4, self._port))
            for one in (self._asker, self._echo):
                one.settimeout(2)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def ask(self):
        """Seconds there, and there and back."""
        self._number += 1
        data = struct.pack(">I", self._number).ljust(self._payload, b"\xa5")
        start = time.monotonic()
        self._asker.send(data)
        arrived, source = self._echo.recvfrom(2048)
        there = time.monotonic() - start
        self._echo.sendto(arrived, source)
        assert self._asker.recv(2048) == arrived == data
        return there, time.monotonic() - start


class _Arrivals:
    """What has come to some sockets, for each in order."""

    def __init__(self, into):
        self.into, self.received, self._patience = into, [[] for _ in into], 2

    def wait(self, count):
        """Until there are so many in all; once that has been in vain, something is lost, and there is no more waiting."""
        deadline = time.monotonic() + self._patience
        while self._read() < count:
            if time.monotonic() > deadline:
                self._patience = 0
                break
            time.sleep(0.001)

    def _read(self):
        for one, received in zip(self.into, self.received):
            received += _pending(one)
        return sum(map(len, self.received))


def _bound(stack, site, port):
    made = stack.enter_context(site.host.socket(socket.AF_INET, socket.SOCK_DGRAM))
    made.setsockopt(socket.SOL_SOCKET, _FORCED_RECEIVE_BUFFER, 4 << 20)
    made.bind((site.v4, port))
    return made


def _pending(into):
    into.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            yield into.recv(2048)
