"""A ping beside uploads over a link whose rate moves, in front of which the gateway finds it (`Rate = auto`)."""

import time
from typing import NamedTuple, Optional

from .place import OUTER, OVERHEAD, Pings, Place, TUNNEL_MTU, INNER, Uploads, idle_path
from .row import Case, Column, Row

RATES = (20, 5, 50, 2, 20)
RTT = 40
STREAMS = 8
_EVERY = 10
"""Seconds for each rate."""
_WARM_UP = 5
"""Seconds, at the first of them."""
TUNNELS = {"none": ("no tunnel", None), "fixed": ("gateway, Rate = 1.9mbit", "Rate = 1.9mbit"),
           "auto": ("gateway, Rate = auto 2mbit..50mbit", "Rate = auto 2mbit..50mbit")}


class Moving(NamedTuple):
    part: float
    """What the receivers got, as a part of what full datagrams over the link could have carried."""
    wire: float
    """What went over the link, as a part of what it offered."""
    median: float
    p95: float
    p99: float
    """Round trips beside the uploads, above the path, ms."""
    lost: int
    lowest: Optional[float]
    """The part of the worst of the rates."""


def measure(case, options, number):
    setting = TUNNELS[case.of["tunnel"]][1]
    ends = {"a": {"peer": [setting], "compression": "auto"}, "b": {"compression": "auto"}} if setting else {}
    with Place(RATES[0], RTT) as place, place.tunnel("gateway" if setting else "none", **ends):
        near, far = place.a.host, place.b
        path = idle_path(near, far.v4)
        with Uploads(near, [(far.host, far.v4, place.random)] * STREAMS) as uploads:
            uploads.run(_WARM_UP)
            place.link.report()
            pings, got, start = Pings(near, far.v4, _EVERY * len(RATES)), [], time.monotonic()
            for step, rate in enumerate(RATES):
                place.link.change(rate=rate)
                got.append(sum(uploads.run(max(start + _EVERY * (step + 1) - time.monotonic(), 0.1))))
            there = place.link.report()["there"]
            trips = pings.round_trips()
    share = (TUNNEL_MTU - INNER) / (TUNNEL_MTU + OUTER + OVERHEAD)
    offered = sum(RATES) / len(RATES)
    wire = there.delivered["bytes"] * 8 / (_EVERY * len(RATES)) / 1e6
    times = sorted(trips.times)
    return Moving(sum(got) / len(got) / (offered * share), wire / offered, trips.median - path, trips.p95 - path,
                  times[int(0.99 * (len(times) - 1))] - path, trips.sent - len(trips.times),
                  min(one / (rate * share) for one, rate in zip(got, RATES)))


ROW = Row(
    "moving", f"A ping beside {STREAMS} uploads of random bytes, {RTT} ms, over a link of "
    + ", ".join(map(str, RATES)) + f" Mbit/s for {_EVERY} s each",
    "at least 0.8 of what the link offers, the ping's p95 at most 60 ms above the path",
    [Case(label, {"tunnel": name}) for name, (label, _) in TUNNELS.items()],
    [Column("part", "of the link", 3), Column("wire", "wire", 3), Column("lowest", "worst rate", 3),
     Column("median", "ping ms", 1), Column("p95", "p95", 1), Column("p99", "p99", 1), Column("lost", "lost", 0)],
    measure, lambda options: 3 + _WARM_UP + _EVERY * len(RATES))
