"""What one stream carries when it shrinks, and what its part of the wire is beside one that does not."""

from typing import NamedTuple, Optional

import corpus
import flow

from .place import INNER, OUTER, OVERHEAD, PART, TUNNEL_MTU, Pings, Place, Uploads
from .row import Case, Column, Row

RATE, RTT = 20, 40
SETTING = "19.8mbit"
PAYLOADS = ("text", "logs")
_WARM_UP = 3
_LONG = 2
"""Windows that are looked at: text differs from second to second, and after a loss a stream needs some to grow."""


class Goodput(NamedTuple):
    goodput: float
    """Mbit/s that the receiving program got."""
    wire: float
    """Bytes of frames on the link for each of these."""
    ping: float
    """The median beside it, ms."""


def measure(case, options, number):
    shaped = [f"Rate = {SETTING}"] if case.of["shaped"] else []
    file = corpus.build(case.of["payload"], options.size * corpus.MEGABYTE)
    with Place(RATE, RTT) as place, place.tunnel("gateway", a={"interface": shaped, "compression": "auto"},
                                                 b={"compression": "auto"}):
        host, far = place.a.host, place.b
        with Uploads(host, [(far.host, far.v4, file)]) as uploads:
            uploads.run(_WARM_UP)
            place.link.report()
            pings = Pings(host, far.v4, _LONG * options.seconds)
            (goodput,) = uploads.run(_LONG * options.seconds)
            report = place.link.report()["there"]
            ping = pings.round_trips().median
    return Goodput(goodput, report.sent["bytes"] * 8e-6 / report.seconds / goodput, ping)


ROW = Row(
    "goodput", f"One stream that shrinks, {RATE} Mbit/s, {RTT} ms",
    f"with Rate = {SETTING} text at least 70 Mbit/s, logs 135",
    [Case(f"{payload}, {f'Rate = {SETTING}' if shaped else 'no Rate'}", {"payload": payload, "shaped": shaped})
     for payload in PAYLOADS for shaped in (True, False)],
    [Column("goodput", "Mbit/s", 1), Column("wire", "wire/byte", 3), Column("ping", "ping ms", 1)],
    measure, lambda options: 3 + _WARM_UP + _LONG * options.seconds)


class Beside(NamedTuple):
    share: float
    """Of the wire, the text's: what the link carried, without what the random bytes took in full datagrams."""
    coded: Optional[float]
    """The same by the gateway's counters: what it compressed is the text alone."""
    text: float
    random: float
    """Mbit/s that each receiving program got."""


def measure_beside(case, options, number):
    text = corpus.build("text", options.size * corpus.MEGABYTE)
    skip = [f"CompressionSkip = {flow.PORT + 1}"]
    with Place(RATE, RTT) as place, place.tunnel(
            "gateway", a={"interface": [f"Rate = {RATE * PART:g}mbit"], "compression": "auto", "peer": skip},
            b={"compression": "auto"}) as (sender, _):
        far = place.b
        with Uploads(place.a.host, [(far.host, far.v4, text), (far.host, far.v4, place.random)]) as uploads:
            uploads.run(_WARM_UP)
            place.link.report()
            before = sender.peer()["compression"]
            goodput, random = uploads.run(_LONG * options.seconds)
            after, report = sender.peer()["compression"], place.link.report()["there"]
    sent = report.sent["bytes"] * 8 / 1e6 / report.seconds
    taken = random * (TUNNEL_MTU + OUTER + OVERHEAD) / (TUNNEL_MTU - INNER)
    wire = after["tx"]["wireBytes"] - before["tx"]["wireBytes"]
    coded = sum(after["codecs"][name]["wireBytes"] - before["codecs"][name]["wireBytes"] for name in after["codecs"])
    return Beside(1 - taken / sent, coded / wire, goodput, random)


BESIDE = Row(
    "shares", f"Text beside random bytes, {RATE} Mbit/s, {RTT} ms: whose the wire is",
    "each half of the wire within 5 %",
    [Case(f"Rate = {RATE * PART:g}mbit", {})],
    [Column("share", "text's part", 3), Column("coded", "by stats", 3), Column("text", "text Mbit/s", 1),
     Column("random", "random", 1)],
    measure_beside, lambda options: 3 + _WARM_UP + _LONG * options.seconds)
