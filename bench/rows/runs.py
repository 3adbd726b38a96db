"""Runs of one text stream over a veth and tbf, without a rate: whether one is as fast as the other."""

import contextlib
from typing import NamedTuple

import corpus
import flow
from bed import TUNNEL_MTU
from lab import Gateway, wait_until
from lab.gateway import GATEWAY, write_config
from road import Road, Wire

from .row import Case, Column, Row

WIRE = Wire(20, 0.2, 0)
_WARM_UP = 2


def measure(case, options, number):
    program = options.against if case.of["program"] == "other" else GATEWAY
    assert program, "none was named: --against"
    file = corpus.build("text", options.size * corpus.MEGABYTE)
    with Road(WIRE, number) as road, contextlib.ExitStack() as stack:
        daemons = [stack.enter_context(_gateway(road, end, program)) for end in road.ends]
        wait_until(road.carries, "a full packet comes back")
        road.join(True)
        return flow.measure(road, daemons, road.ends_of("own", True), file, _WARM_UP, options.seconds)


def _gateway(road, end, program):
    gateway = Gateway(road, end, write_config(road, end, interface=[f"MTU = {TUNNEL_MTU}"], compression="auto"))
    gateway.argv = [program, *gateway.argv[1:]]
    return gateway


ROW = Row(
    "runs", f"One text stream, {WIRE.rate:g} Mbit/s before tbf, 50 ms of queue, no Rate, in many runs",
    "the slowest at least 0.93 of the median",
    [Case("gateway", {"program": "own"}), Case("gateway of --against", {"program": "other"})],
    [Column("goodput", "Mbit/s", 1), Column("goodput:least", "slowest", 1), Column("goodput:evenness", "of median", 3),
     Column("wire", "wire/byte", 3), Column("ping", "ping ms", 1)],
    measure, lambda options: 3 + _WARM_UP + options.seconds, lambda options: options.runs)
