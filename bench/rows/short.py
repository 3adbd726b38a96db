"""Short transfers, and datagrams that are in no order, over a path that loses."""

import contextlib
import socket
import statistics
import threading
import time
from typing import NamedTuple

from lab import Daemon, wait_until

from .loss import USUAL
from .row import Case, Column, Row
from .voice import call

SIZE = 20_000
"""Bytes of each transfer."""
_PORT = 7300
_EACH = 0.15
"""Seconds that a transfer takes, about."""
_MOST = 10
REPAIR = ("off", "auto")


class Transfers(NamedTuple):
    count: int
    p50: float
    p95: float
    p99: float
    """From the connection's first packet until the last byte is there, ms."""


def measure(case, options, number):
    transfers = int(options.seconds * 60)
    with USUAL.place(number) as place, _tunnel(place, case):
        with _server(place.b.host, place.b.v4):
            times = [_transfer(place.a.host, place.b.v4) for _ in range(transfers)]
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return Transfers(transfers, cuts[49], cuts[94], cuts[98])


def _tunnel(place, case):
    if case.of["tunnel"] != "gateway":
        return place.tunnel(case.of["tunnel"])
    both = {"peer": [f"Repair = {case.of['repair']}"], "compression": "auto"}
    return place.tunnel("gateway", a=both, b=both)


@contextlib.contextmanager
def _server(namespace, address):
    """Answers each connection with `SIZE` bytes, and closes it."""
    listener = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.IPPROTO_TCP, 13, b"cubic")
    listener.bind((address, _PORT))
    listener.listen(64)
    data = bytes(range(256)) * (SIZE // 256 + 1)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(16)
                    connection.sendall(data[:SIZE])

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _transfer(namespace, address):
    """How long one takes, ms."""
    with namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(_MOST)
        start = time.monotonic()
        connection.connect((address, _PORT))
        connection.sendall(b"?")
        received = 0
        while data := connection.recv(65536):
            received += len(data)
        assert received == SIZE
        return (time.monotonic() - start) * 1e3


_TUNNELS = [("no tunnel", {"tunnel": "none"}), ("wireguard-go", {"tunnel": "wireguard-go"})] + [
    (f"gateway, Repair = {repair}", {"tunnel": "gateway", "repair": repair}) for repair in REPAIR]

TRANSFERS = Row(
    "transfers", f"Transfers of {SIZE // 1000} KB, each over a connection of its own, {USUAL.label}, no Rate",
    "the 99th percentile at most half of that without Repair",
    [Case(label, of) for label, of in _TUNNELS],
    [Column("count", "transfers", 0), Column("p50", "p50 ms", 1), Column("p95", "p95", 1), Column("p99", "p99", 1)],
    measure, lambda options: 4 + 60 * options.seconds * _EACH)


class Datagrams(NamedTuple):
    lost: float
    """Percent, there and back."""
    p50: float
    p95: float
    p98: float
    """One way, above the fastest, ms."""


def measure_datagrams(case, options, number):
    with USUAL.place(number) as place, _tunnel(place, case), \
            Daemon(place.b.host, place.directory / "irtt.log", ["irtt", "server", "-i", "1ms", "-b", f"{place.b.v4}:2112"]):
        wait_until(lambda: place.b.host.run("ss", "-Hlun", "sport = :2112").stdout, "irtt listens")
        answer = call(place.a.host, place.b.v4, options.seconds, interval="2ms", size=1200)
    delays = sorted(one["delay"]["send"] / 1e6 for one in answer["round_trips"] if one["delay"].get("send"))
    cuts = [delays[int(part * (len(delays) - 1))] - delays[0] for part in (0.5, 0.95, 0.98)]
    return Datagrams(answer["stats"]["packet_loss_percent"], *cuts)


DATAGRAMS = Row(
    "datagrams", f"UDP of 1200 bytes, every 2 ms, as of a call or of QUIC, {USUAL.label}, no Rate",
    "none later than without Repair by more than 1 ms, but those that would have been lost",
    [Case(label, of) for label, of in _TUNNELS],
    [Column("lost", "lost %", 2), Column("p50", "p50 ms", 2), Column("p95", "p95", 2), Column("p98", "p98", 2)],
    measure_datagrams, lambda options: 4 + options.seconds)
