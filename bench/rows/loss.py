"""What TCP makes of a path that loses datagrams without being full."""

from typing import NamedTuple, Optional

import corpus

from .place import Place, Uploads
from .row import Case, Column, Row

PART = 0.99
"""Of the link, is what `Rate` is set to: nothing else is on it."""


class Path(NamedTuple):
    rate: float
    """Mbit/s."""
    rtt: float
    """ms."""
    loss: float
    """Percent, each way."""
    burst: float = 0
    """Datagrams that are lost together, on average; 0: each by itself."""

    @property
    def label(self):
        return (f"{self.rate:g} Mbit/s, {self.rtt:g} ms, {self.loss:g} %"
                + (f" in bursts of {self.burst:g}" if self.burst else ""))

    def place(self, number, **more):
        """number: of the round; the losses of each are others."""
        place = Place(self.rate, self.rtt, loss=self.loss, seed=number,
                      **({"burst": self.burst} if self.burst else {}), **more)
        return place


PATHS = {  # and the Mbit/s that were asked for: of random bytes, of text
    Path(20, 40, 0.1): (17, 64), Path(20, 40, 1): (16.5, 60), Path(20, 40, 3): (15, 52), Path(20, 40, 1, burst=10): (16.5, 60),
    Path(20, 300, 1): (14.5, 50), Path(20, 2, 3): (16.5, 60), Path(2, 40, 2): (1.7, 5.5)}
USUAL = Path(20, 40, 1)
_LONG = 2
"""Windows that are looked at: what is lost differs from second to second."""


class Lossy(NamedTuple):
    goodput: float
    """Mbit/s that the receiving programs got."""
    asked: Optional[float]
    lost: float
    """Percent of the datagrams there."""
    resent: Optional[float]
    """Datagrams sent again, for each that was lost."""
    parity: Optional[float]
    """Percent of the bytes on the wire."""
    left: Optional[float]
    """Percent of what was lost that nothing gave back."""
    held: Optional[float]
    """What the slowest hundredth of the packets behind a gap waited at least, ms."""


def measure(case, options, number):
    path, tunnel, control = case.of["path"], case.of["tunnel"], case.of.get("control", "cubic")
    shaped = [f"Rate = {path.rate * PART:g}mbit"] if case.of.get("shaped") else []
    repair = [f"Repair = {case.of.get('repair', 'auto')}"]
    ends = {"a": {"interface": shaped, "peer": repair, "compression": "auto"},
            "b": {"peer": repair, "compression": "auto"}} if tunnel == "gateway" else {}
    with path.place(number) as place, place.tunnel(tunnel, **ends) as gateways:
        near, far = place.a.host, place.b
        file = place.random if case.of["payload"] == "random" else corpus.build("text", options.size * corpus.MEGABYTE)
        targets = [(far.host, far.v4, file)] * case.of.get("streams", 1)
        with Uploads(near, targets, control=control) as uploads:
            uploads.run(warm_up(path))
            place.link.report()
            before = [one.peer().get("repair", {}) for one in gateways] if ends else None
            goodput = sum(uploads.run(_LONG * options.seconds))
            there = place.link.report()["there"]
            after = [one.peer().get("repair", {}) for one in gateways] if ends else None
    lost = there.lost["frames"]
    of_repair = [None] * 4
    if ends and after[0]:
        sent, received = ({name: one[name] - two.get(name, 0) for name in one} for one, two in zip(after, before))
        of_repair = [sent["resent"] / max(1, lost), 100 * sent["parityBytes"] / there.sent["bytes"],
                     100 * received["givenUp"] / max(1, lost), after[1]["heldMicrosecondsP99"] / 1e3]
    return Lossy(goodput, case.of.get("asked"), 100 * lost / there.sent["frames"], *of_repair)


def warm_up(path):
    """Seconds until TCP has found what the path takes: cubic leaves slow start early where it is long."""
    return 5 + path.rtt / 20


def _takes(case_paths):
    return lambda options: 3 + sum(map(warm_up, case_paths)) / len(case_paths) + _LONG * options.seconds


_COLUMNS = [
    Column("goodput", "Mbit/s", 2), Column("goodput:least", "least", 2), Column("asked", "asked for", 1),
    Column("lost", "lost %", 2), Column("resent", "resent/lost", 2), Column("parity", "parity %", 1),
    Column("left", "left %", 1), Column("held", "held p99 ms", 1)]

ROW = Row(
    "loss", f"One stream over a path that loses, Rate = {PART:g} of the link",
    "the third column; resent at most 1.3 for each that is lost, parity at most 12 %",
    [Case(f"{path.label}, {payload}, {label}",
          {"path": path, "payload": payload, "tunnel": tunnel, "shaped": True, "asked": asked if tunnel == "gateway" else None})
     for path, goals in PATHS.items() for payload, asked in zip(("random", "text"), goals)
     for tunnel, label in (("gateway", "gateway"), ("none", "no tunnel"), ("wireguard-go", "wireguard-go"))
     if tunnel == "gateway" or (path == USUAL and payload == "random")],
    _COLUMNS, measure, _takes(list(PATHS)))


def _unshaped(label, **of):
    return Case(f"{USUAL.label}, {label}", {"path": USUAL, "payload": "random", "tunnel": "gateway", **of})


UNSHAPED = Row(
    "unshaped", "Streams over a path that loses, no Rate",
    "with Repair at least three times what comes without it",
    [_unshaped(f"{payload}, {streams}, {control}, Repair = {repair}", payload=payload, repair=repair, control=control,
               streams=count)
     for payload, count, streams, control in (("random", 1, "one stream", "cubic"), ("text", 1, "one stream", "cubic"),
                                              ("random", 4, "four streams", "cubic"), ("random", 1, "one stream", "bbr"),
                                              ("random", 4, "four streams", "bbr"))
     for repair in ("off", "auto")],
    _COLUMNS, measure, _takes([USUAL]))
