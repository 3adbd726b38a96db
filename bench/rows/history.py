"""What units that refer to those before them gain for TCP, beside units alone."""

import statistics
from typing import NamedTuple, Optional

import corpus
import cost

from .loss import PART, Path, warm_up
from .place import Place, Uploads
from .row import Case, Column, Row

FAST, FAR = Path(20, 40, 0), Path(2, 300, 0)
LOSSES = (1, 3)
SETTINGS = ("off", "auto")
FLOWS = 8
_PIECE = 6 << 20
"""Bytes of each flow's: far more than a stream remembers, and sent once at least in every window."""
_LONG = 3
"""Windows that are looked at: text differs from second to second."""
GOALS = {(FAST, "text"): 78, (FAST, "logs"): 140, (FAR, "text"): 7.4}
"""Mbit/s that were asked for with history, without loss."""
_WITHIN = {1: 0.88, 3: 0.82}
"""The part of that, by the percentage that is lost."""


class Referring(NamedTuple):
    goodput: float
    """Mbit/s that the receiving programs got."""
    asked: Optional[float]
    wire: float
    """Bytes of frames on the link for each of these."""
    unit: Optional[float]
    """Bytes of packets in a unit of a stream, on average."""
    fraction: Optional[float]
    """What such a unit left of them."""
    broken: Optional[float]
    """Streams that the other end could not go on with."""
    cpu_out: float
    cpu_in: float
    """Seconds of the sending and the receiving daemon for each GB."""


def measure(case, options, number):
    path = case.of["path"]
    peer = [f"History = {case.of['history']}"]
    ends = {"a": {"interface": [f"Rate = {path.rate * PART:g}mbit"], "compression": "auto", "peer": peer},
            "b": {"compression": "auto", "peer": peer}}
    file = corpus.build(case.of["payload"], options.size * corpus.MEGABYTE)
    with Place(path.rate, path.rtt, loss=path.loss, seed=number) as place, place.tunnel("gateway", **ends) as gateways:
        far = place.b
        with Uploads(place.a.host, [(far.host, far.v4, file)]) as uploads:
            uploads.run(warm_up(path))
            place.link.report()
            before = [_look(one) for one in gateways]
            (goodput,) = uploads.run(_LONG * options.seconds)
            after = [_look(one) for one in gateways]
            there = place.link.report()["there"]
    received = goodput * there.seconds / 8000
    (out, cpu_out), (_, cpu_in) = ((_difference(one[0], two[0]), two[1] - one[1]) for one, two in zip(before, after))
    return Referring(
        goodput, case.of.get("asked"), there.sent["bytes"] * 8e-6 / there.seconds / goodput,
        _part(out, "txPlainBytes", "txUnits"), _part(out, "txWireBytes", "txPlainBytes"), out.get("broken"),
        cpu_out / received, cpu_in / received)


def _look(gateway):
    return gateway.peer().get("history") or {}, cost.processor_seconds([gateway])


def _difference(before, after):
    return {name: value - before.get(name, 0) for name, value in after.items() if isinstance(value, int)}


def _part(counts, name, of):
    return counts[name] / counts[of] if counts.get(of) else None


def _cases():
    for path, payload in GOALS:
        for lost in (0, *LOSSES) if path == FAST else (0,):
            for setting in SETTINGS:
                asked = GOALS[path, payload] * _WITHIN.get(lost, 1) if setting == "auto" else None
                yield _case(f"{path._replace(loss=lost).label}, {payload}", path._replace(loss=lost), payload, setting, asked=asked)


def _case(label, path, payload, setting, **of):
    return Case(f"{label}, History = {setting}", {"path": path, "payload": payload, "history": setting, **of})


ROW = Row(
    "history", f"Streams that shrink, units alone and with history, Rate = {PART:g} of the link",
    "the third column",
    list(_cases()),
    [Column("goodput", "Mbit/s", 2), Column("goodput:least", "least", 2), Column("asked", "asked for", 1),
     Column("wire", "wire/byte", 3), Column("unit", "bytes a unit", 0), Column("fraction", "left", 3),
     Column("broken", "broken", 0), Column("cpu_out", "CPU s/GB out", 1), Column("cpu_in", "in", 1)],
    measure, lambda options: 4 + warm_up(FAST) + _LONG * options.seconds)


class Interleaved(NamedTuple):
    alone: float
    together: float
    """Bytes of frames on the link for each that the receiving programs got."""
    ratio: float
    goodput_alone: float
    goodput_together: float
    """Mbit/s, of all flows."""


def measure_interleaved(case, options, number):
    """Each flow sends a piece of the text around and around: first alone, one after the other, then all at once."""
    peer = [f"History = {case.of['history']}"]
    ends = {"a": {"interface": [f"Rate = {FAST.rate * PART:g}mbit"], "compression": "auto", "peer": peer},
            "b": {"compression": "auto", "peer": peer}}
    text = corpus.build("text", options.size * corpus.MEGABYTE)
    with Place(FAST.rate, FAST.rtt) as place, place.tunnel("gateway", **ends):
        pieces = [place.directory / f"piece-{index}" for index in range(FLOWS)]
        with open(text, "rb") as file:
            for piece in pieces:
                piece.write_bytes(file.read(_PIECE))
        alone = [_run(place, [piece], 2, options.seconds) for piece in pieces]
        together = _run(place, pieces, warm_up(FAST), _LONG * options.seconds)
    wire, goodput = (statistics.fmean(values) for values in zip(*alone))
    return Interleaved(wire, together[0], together[0] / wire, goodput, together[1])


def _run(place, files, warming, seconds):
    """Bytes on the link for each that arrives, and Mbit/s, of flows that send these."""
    with Uploads(place.a.host, [(place.b.host, place.b.v4, file) for file in files]) as uploads:
        uploads.run(warming)
        place.link.report()
        goodput = sum(uploads.run(seconds))
        there = place.link.report()["there"]
    return there.sent["bytes"] * 8e-6 / there.seconds / goodput, goodput


INTERLEAVED = Row(
    "interleaved", f"{FLOWS} streams of text, each alone and all at once, {FAST.rate:g} Mbit/s, {FAST.rtt:g} ms, Rate = {PART:g} of the link",
    "all at once take at most 5 % more bytes than each alone",
    [Case(f"History = {setting}", {"history": setting}) for setting in SETTINGS],
    [Column("alone", "wire/byte alone", 3), Column("together", "together", 3), Column("ratio", "ratio", 3),
     Column("goodput_alone", "Mbit/s alone", 1), Column("goodput_together", "together", 1)],
    measure_interleaved, lambda options: 6 + FLOWS * (2 + options.seconds) + warm_up(FAST) + _LONG * options.seconds)
