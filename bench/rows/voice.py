"""A telephone beside bulk uploads: 50 packets of 60 bytes a second, by irtt."""

import json
import statistics
import subprocess
from typing import NamedTuple

from lab import Daemon, wait_until

from .place import PART, Place, TapPlace, Uploads
from .row import Case, Column, Row

RATE, RTT, STREAMS = 2, 40, 2
_PORT = 2112
_WARM_UP = 3


class Voice(NamedTuple):
    lost: float
    """Percent, there and back."""
    p50: float
    p95: float
    """Of the differences between the delays of packets that follow each other, there, ms."""
    back: float
    """The same for what comes back, p95."""
    trip: float
    """The median round trip, ms."""


def measure(case, options, number):
    of = case.of
    config = {"interface": [f"#: Rate = {RATE * PART:g}mbit"], "compression": "auto"}
    if of["device"] == "tap":
        options_of_tunnel = config
    else:
        options_of_tunnel = {"a": config, "b": {"compression": "auto"}} if of["tunnel"] == "gateway" else {}
    with (TapPlace if of["device"] == "tap" else Place)(RATE, RTT) as place, \
            place.tunnel(of["tunnel"], **options_of_tunnel), \
            Daemon(place.b.host, place.directory / "irtt.log", ["irtt", "server", "-b", f"%lan:{_PORT}"]) as server:
        address = place.b.v6 if of["inner"] == 6 else place.b.v4
        wait_until(lambda: place.b.host.run("ss", "-Hlun", f"sport = :{_PORT}").stdout, "irtt listens")
        with Uploads(place.a.host, [(place.b.host, place.b.v4, place.random)] * STREAMS) as uploads:
            uploads.run(_WARM_UP)
            answer = call(place.a.host, f"[{address}]" if of["inner"] == 6 else address, options.seconds)
            uploads.run(0)
        server.check_alive()
    there, back, trips = (
        [abs(one["ipdv"]["send"]) / 1e6 for one in answer["round_trips"] if one["ipdv"].get("send")],
        [abs(one["ipdv"]["receive"]) / 1e6 for one in answer["round_trips"] if one["ipdv"].get("receive")],
        [one["delay"]["rtt"] / 1e6 for one in answer["round_trips"] if one["delay"].get("rtt")])
    return Voice(answer["stats"]["packet_loss_percent"], statistics.median(there), _p95(there), _p95(back),
                 statistics.median(trips))


def call(host, address, seconds, interval="20ms", size=60):
    """Sends packets of that size for so long, and returns what irtt says of each and of all."""
    done = subprocess.run(
        host.command("irtt", "client", "-i", interval, "-d", f"{seconds:g}s", "-l", size, "--wait=2s", "-q", "-o", "-",
                     f"{address}:{_PORT}"),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=seconds + 20)
    assert done.returncode == 0, f"irtt ended with {done.returncode}"
    return json.loads(done.stdout)


def _p95(values):
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def _case(label, tunnel="gateway", inner=4, device="tun"):
    return Case(label, {"tunnel": tunnel, "inner": inner, "device": device})


ROW = Row(
    "voice", f"50 packets of 60 bytes a second beside {STREAMS} uploads, {RATE} Mbit/s, {RTT} ms",
    "none lost, jitter (p95) under 8 ms",
    [_case("no tunnel, IPv4", "none"), _case("wireguard-go, IPv4", "wireguard-go"), _case("gateway, Rate, TUN, IPv4"),
     _case("gateway, Rate, TUN, IPv6", inner=6), _case("gateway, Rate, TAP, IPv4", device="tap"),
     _case("gateway, Rate, TAP, IPv6", inner=6, device="tap")],
    [Column("lost", "lost %", 2), Column("p50", "jitter p50", 2), Column("p95", "p95", 2), Column("back", "back p95", 2),
     Column("trip", "trip ms", 1)],
    measure, lambda options: 3 + _WARM_UP + options.seconds + 1)
