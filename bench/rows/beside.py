"""A ping beside bulk uploads."""

from typing import NamedTuple, Optional

from lab import wait_until

from .place import IDLE, PART, Pings, Place, Uploads, allowed, idle_path, wire_bytes
from .row import Case, Column, Row

RATES = (2, 20, 200)
RTT = 40
STREAMS = 2
TUNNELS = {"none": "no tunnel", "wireguard-go": "wireguard-go", "rate": "gateway, Rate", "down": "gateway, DownRate"}
_PING = 84
"""Bytes of a ping's packet; one every 0.1 s, each way."""
_STARTING = 3
_WARM_UP = 3
"""Seconds: until TCP has filled the modem, or has learnt not to."""


class Beside(NamedTuple):
    path: float
    """The median round trip before, ms."""
    median: float
    p95: float
    """Round trips beside the uploads, above the path, ms."""
    lost: int
    goodput: float
    """Mbit/s of both uploads together."""
    part: float
    """The goodput, as a part of what `Rate` allows beside the pings."""
    modem: float
    """What datagrams waited in the link's queue, ms, on average."""
    waited: Optional[float]
    """What the slowest hundredth of the packets at least waited in the gateway, ms."""
    dropped: Optional[float]


def measure(case, options, number):
    rate, tunnel = case.of["rate"], case.of["tunnel"]
    shaped = f"{rate * PART:g}mbit"
    ends = {"rate": {"a": {"interface": [f"Rate = {shaped}"], "compression": "auto"}, "b": {"compression": "auto"}},
            "down": {"b": {"peer": [f"DownRate = {shaped}"]}}}.get(tunnel, {})
    with Place(rate, RTT) as place, place.tunnel("gateway" if ends else tunnel, **ends) as gateways:
        if tunnel == "down":
            wait_until(lambda: gateways[0].peer().get("queue", {}).get("toldRate"), "the sender knows the rate")
        near, far = place.a.host, place.b
        path = idle_path(near, far.v4)
        with Uploads(near, [(far.host, far.v4, place.random)] * STREAMS) as uploads:
            uploads.run(_WARM_UP)
            place.link.report()
            pings = Pings(near, far.v4, options.seconds)
            goodput = sum(uploads.run(options.seconds))
            there, peer = place.link.report()["there"], gateways[0].peer() if ends else {}
            trips = pings.round_trips()
    room = allowed(rate * PART - 10 * wire_bytes(_PING) * 8 / 1e6)
    return Beside(path, trips.median - path, trips.p95 - path, trips.sent - len(trips.times), goodput, goodput / room,
                  there.queue["mean"], peer["queue"]["delayMicrosecondsP99"] / 1e3 if peer else None,
                  peer["drops"]["queueDelay"] if peer else None)


ROW = Row(
    "ping", f"A ping beside {STREAMS} uploads of random bytes, {RTT} ms",
    "above the path at 2 Mbit/s at most 12 ms, p95 25; 20: 5, 10; 200: 3, 6; at least 0.97 of what Rate allows",
    [Case(f"{rate} Mbit/s, {label}", {"rate": rate, "tunnel": tunnel}) for rate in RATES for tunnel, label in TUNNELS.items()],
    [Column("path", "path ms", 1), Column("median", "above it", 1), Column("p95", "p95", 1), Column("lost", "lost", 0),
     Column("goodput", "Mbit/s", 2), Column("part", "of Rate", 3), Column("modem", "modem ms", 1)],
    measure, lambda options: _STARTING + IDLE + _WARM_UP + options.seconds)
