"""A stream of somebody else on the same link, in front of which no rate is set: what is left for it."""

from typing import NamedTuple

import flow

from .loss import Path
from .place import Uploads
from .row import Case, Column, Row

_QUEUE = 50
"""ms: as a router has it."""
_WARM_UP = 8
_LONG = 4
PATHS = [Path(20, 40, 0), Path(20, 40, 0.1), Path(20, 40, 1)]


class Foreign(NamedTuple):
    foreign: float
    ours: float
    """Mbit/s."""
    told: float
    """Losses that TCP was told of, a second."""


def measure(case, options, number):
    both = {"peer": [f"Repair = {case.of['repair']}"], "compression": "auto"}
    with case.of["path"].place(number, queue=_QUEUE) as place, place.tunnel("gateway", a=both, b=both) as gateways:
        near, far = place.a, place.b
        with Uploads(near.host, [(far.host, far.v4, place.random)]) as uploads, \
                flow.Stream(near.gateway, far.gateway, far.outer, place.random, flow.PORT + 1) as foreign:
            uploads.run(_WARM_UP)
            before, told = foreign.received, _told(gateways)
            (ours,) = uploads.run(_LONG * options.seconds)
            passed = _LONG * options.seconds
            return Foreign((foreign.received - before) * 8e-6 / passed, ours, (_told(gateways) - told) / passed)


def _told(gateways):
    return gateways[0].peer().get("repair", {}).get("told", 0)


ROW = Row(
    "foreign", f"A stream beside the tunnel and one in it, on the same link with {_QUEUE} ms of queue, no Rate",
    "the stream beside gets at least 0.9 of what it gets with Repair = off",
    [Case(f"{path.label}, Repair = {repair}", {"path": path, "repair": repair}) for path in PATHS for repair in ("off", "auto")],
    [Column("foreign", "beside Mbit/s", 2), Column("ours", "inside", 2), Column("told", "told/s", 2)],
    measure, lambda options: 4 + _WARM_UP + _LONG * options.seconds)
