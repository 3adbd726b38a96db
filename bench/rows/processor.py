"""What a high rate costs the processor."""

import time
from typing import NamedTuple

import cost

from .place import Place, Uploads, allowed
from .row import Case, Column, Row

SETTING, RATE = "1gbit", 1000
_WARM_UP = 1


class Processor(NamedTuple):
    cpu: float
    """Seconds of both daemons for each GB that the receiving program got."""
    goodput: float
    """Mbit/s."""


def measure(case, options, number):
    shaped = [f"Rate = {SETTING}"] if case.of["shaped"] else []
    with Place() as place, place.tunnel("gateway", a={"interface": shaped}) as daemons:
        far = place.b
        pace = allowed(RATE) * 1e6 / 8 if case.of["paced"] else 0
        with Uploads(place.a.host, [(far.host, far.v4, place.random)], pace) as uploads:
            uploads.run(_WARM_UP)
            spent, start = cost.processor_seconds(daemons), time.monotonic()
            (goodput,) = uploads.run(options.seconds)
            spent, passed = cost.processor_seconds(daemons) - spent, time.monotonic() - start
    return Processor(spent / (goodput * passed / 8000), goodput)


def _case(label, shaped=False, paced=False):
    return Case(label, {"shaped": shaped, "paced": paced})


ROW = Row(
    "processor", "One stream of random bytes, compression off, over a veth",
    f"with Rate = {SETTING} at most 1.1 times the CPU of none",
    [_case(f"Rate = {SETTING}", shaped=True), _case("no Rate, the sender paced to the same", paced=True), _case("no Rate")],
    [Column("cpu", "CPU s/GB", 2), Column("goodput", "Mbit/s", 0)],
    measure, lambda options: 3 + _WARM_UP + options.seconds)
