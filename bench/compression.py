#!/usr/bin/env -S /usr/bin/python3 -B
"""Compares what tunnels make of thin, long and lossy wires when they compress. Say --plan to see how long it takes.

  bench/compression.py                                                what matters most: about a quarter of an hour
  bench/compression.py --everything                                   all wires, payloads and tunnels: many hours
  bench/compression.py --rates 20 --rtts 0.2,40 --losses 0 --payloads text,logs --tunnels gateway-auto,openvpn-lz4 --rounds 5

One TCP stream sends a file of bench/corpus.py; in each round every tunnel is started anew on every wire. Runs as root;
GATEWAY_BIN names the gateway to measure. The samples go to bench/results as JSON. A sample during which the wire was off
by more than a tenth from what was asked for is refused, and tried once more.
"""

import argparse
import contextlib
import datetime
import json
import shlex
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import corpus
import flow
import machine
import tunnels
from lab import wait_until
from road import PLACES, Road, Wire

RESULTS = Path(__file__).resolve().parent / "results"
COLUMNS = {"goodput": ("Mbit/s", 8, 1), "wire": ("wire/byte", 11, 3), "cpu": ("CPU s/GB", 10, 2), "ping": ("ping ms", 9, 1)}
STARTING = 4  # seconds, about, until a tunnel carries something
FAILURES = (AssertionError, OSError, subprocess.SubprocessError)

QUICK = {
    "rates": [20, 0], "rtts": [0.2, 40], "losses": [0], "payloads": ["text", "tls"], "places": ["own"],
    "tunnels": ["none", "gateway-off", "gateway-auto", "openvpn-lz4", "vtun-zlib"]}
EVERYTHING = {
    "rates": [2, 20, 200, 0], "rtts": [0.2, 40], "losses": [0, 1], "payloads": list(corpus.PAYLOADS), "places": list(PLACES),
    "tunnels": [one.name for one in tunnels.compressing_tunnels()]}


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wires = [Wire(rate, rtt, loss) for rate in options.rates for rtt in options.rtts for loss in options.losses]
    visits = options.rounds * len(wires) * len(options.tunnels)
    each = STARTING + len(options.places) * len(options.payloads) * (options.warm_up + options.seconds + 0.3)
    print(f"  {options.rounds} rounds, {len(wires)} wires, {len(options.tunnels)} tunnels: about {visits * each / 60:.0f} min")
    if options.plan:
        return
    files = {name: corpus.build(name, options.size * corpus.MEGABYTE) for name in options.payloads}
    facts = {name: corpus.describe(file) for name, file in files.items()}
    for name, one in facts.items():
        print(f"  {name}: {one['bytes'] / 1e6:.0f} MB, zstd -1 in blocks of 32 KB {one['ratio']}, SHA-256 {one['sha256']}")
    results = Results()
    start, stolen, date = time.monotonic(), machine.Stolen(), datetime.datetime.now()
    with contextlib.suppress(KeyboardInterrupt):
        measure(options, wires, files, results)
    say("")
    print("\n".join(table(options, wires, results, facts)))
    conditions = {
        "date": date.isoformat(timespec="seconds"), "command": shlex.join(["bench/compression.py", *sys.argv[1:]]),
        "took": round(time.monotonic() - start), "rounds": options.rounds, "seconds": options.seconds,
        "machine": machine.describe(), "stolen": round(stolen.share(), 4), "load average": machine.load_average(),
        "versions": machine.versions(["openvpn", "tincd", "vtund", "edge"]), "payloads": facts}
    path = options.json or RESULTS / f"compression-{date:%Y-%m-%d-%H%M%S}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(results.json(conditions))
    print(f"  {conditions['took']} s; every sample: {path}")


class Results:
    """Samples and failures, each with the case that it belongs to."""

    def __init__(self):
        self.samples, self.failures = [], []

    def add(self, case, sample):
        self.samples.append({**case, **{name: value if value is None else float(f"{value:.4g}")
                                        for name, value in sample._asdict().items()}})

    def fail(self, case, why):
        self.failures.append({**case, "why": " ".join(str(why).split())[:300]})

    def value(self, case, column):
        """The median, or None."""
        found = [one[column] for one in self.samples if case.items() <= one.items() and one[column] is not None]
        return statistics.median(found) if found else None

    def json(self, conditions):
        """One line for each sample."""
        parts = [f'"{name}": {json.dumps(value)}' for name, value in conditions.items()]
        for name, rows in (("samples", self.samples), ("failures", self.failures)):
            parts.append(f'"{name}": [\n ' + ",\n ".join(map(json.dumps, rows)) + "]")
        return "{" + ",\n".join(parts) + "}\n"


def measure(options, wires, files, results):
    """Visits every tunnel on every wire in every round, each round beginning with another tunnel."""
    for number in range(options.rounds):
        turn = number % len(options.tunnels)
        for wire in wires:
            for tunnel in options.tunnels[turn:] + options.tunnels[:turn]:
                say(f"round {number + 1} of {options.rounds}: {wire.label}: {tunnel.label} …")
                visit(options, wire, tunnel, files, results, seed=number + 1)


def visit(options, wire, tunnel, files, results, seed):
    """One tunnel on one wire: every payload from every place."""
    case = {**wire._asdict(), "tunnel": tunnel.name}
    if not tunnels.is_installed(tunnel):
        return results.fail(case, f"{tunnel.program} is not installed")
    # How a daemon ends is the tests' business: what was measured stands.
    with Road(wire, seed) as road, contextlib.suppress(AssertionError), contextlib.ExitStack() as stack:
        is_tunnelled = tunnel.name != tunnels.NONE
        try:
            running = tunnel.start(road, stack)
            if is_tunnelled:
                wait_until(road.carries, "a full packet comes back")
            road.join(is_tunnelled)
            time.sleep(1)
            running.check_alive()
        except FAILURES as error:
            return results.fail(case, f"did not come up: {error}")
        for place in options.places:
            for name, file in files.items():
                sample(options, road, running, road.ends_of(place, is_tunnelled), file, results,
                       {**case, "place": place, "payload": name})


def sample(options, road, running, ends, file, results, case):
    for is_last in (False, True):
        try:
            running.check_alive()
            try:
                found = flow.measure(road, running.daemons, ends, file, options.warm_up, options.seconds)
            finally:
                # If a daemon has ended, that is the reason.
                running.check_alive()
            return results.add(case, found)
        except FAILURES as error:
            if is_last:
                results.fail(case, error)


def table(options, wires, results, facts):
    """For each wire and payload the medians of every tunnel, from each place."""
    widest = max(len(one.label) for one in options.tunnels)
    across = sum(width for _, width, _ in COLUMNS.values())
    for wire in wires:
        for name in options.payloads:
            yield from ["", f"  {wire.label}, {name}"]
            yield " " * (widest + 2) + "".join(place.rjust(across) for place in options.places)
            yield " " * (widest + 2) + len(options.places) * "".join(title.rjust(width) for title, width, _ in COLUMNS.values())
            for tunnel in options.tunnels:
                case = {**wire._asdict(), "tunnel": tunnel.name, "payload": name}
                yield "  " + tunnel.label.ljust(widest) + "".join(
                    text(results.value({**case, "place": place}, column), width, digits)
                    for place in options.places for column, (_, width, digits) in COLUMNS.items())
            for place in options.places:
                yield from ratios(options, results, {**wire._asdict(), "payload": name, "place": place}, facts[name]["ratio"])
    reasons = {(f"{Wire(one['rate'], one['rtt'], one['loss']).label}, {one['tunnel']}", one["why"]) for one in results.failures}
    if reasons:
        yield from ["", "  failed:", *(f"  {where}: {why}" for where, why in sorted(reasons))]


def ratios(options, results, case, block_ratio):
    """The goodput of each gateway that compresses, as so many times that of the others.

    The last is what the wire carries, times what zstd -1 makes of the payload in blocks of 32 KB.
    """
    def goodput(tunnel):
        return results.value({**case, "tunnel": tunnel.name}, "goodput")

    ours = [one for one in options.tunnels if one.name.startswith("gateway-") and one.name != "gateway-off"]
    for one in ours:
        parts = [f"{goodput(one) / value:.2f} × {other.label}" for other in options.tunnels
                 if other not in ours and goodput(one) and (value := goodput(other))]
        parts += [f"{goodput(one) / value / block_ratio:.2f} × no tunnel × {block_ratio}" for other in options.tunnels
                  if other.name == tunnels.NONE and goodput(one) and (value := goodput(other))]
        if parts:
            yield f"  {case['place']}: {one.label} = {' = '.join(parts)}"


def text(value, width, digits):
    return ("–" if value is None else f"{value:.{digits}f}").rjust(width)


def say(what):
    if sys.stderr.isatty():
        print("\r\033[K  " + what if what else "\r\033[K", end="", file=sys.stderr, flush=True)
    elif what:
        print("  " + what, file=sys.stderr, flush=True)


def arguments():
    known = {one.name: one for one in tunnels.compressing_tunnels()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--everything", action="store_true", help="the whole matrix")
    parser.add_argument("--plan", action="store_true", help="say how long it takes, and no more")
    parser.add_argument("--rates", type=numbers, metavar="A,B", help="Mbit/s; 0: not shaped")
    parser.add_argument("--rtts", "--rtt", type=numbers, metavar="A,B", help="ms; below 1 and without loss: a veth and tbf")
    parser.add_argument("--losses", type=numbers, metavar="A,B", help="percent, each way")
    parser.add_argument("--payloads", type=chosen(corpus.PAYLOADS), metavar="A,B", help=f"some of: {' '.join(corpus.PAYLOADS)}")
    parser.add_argument("--places", type=chosen(PLACES), metavar="A,B", help=f"some of: {' '.join(PLACES)}")
    parser.add_argument("--tunnels", type=chosen(known), metavar="A,B", help=f"some of: {' '.join(known)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of the window that counts; default 4")
    parser.add_argument("--warm-up", type=float, default=2, help="seconds before the window; default 2")
    parser.add_argument("--size", type=int, default=256, metavar="MB", help="of each payload; default 256")
    parser.add_argument("--json", type=Path, help="the file for the samples")
    options = parser.parse_args()
    for name, value in (EVERYTHING if options.everything else QUICK).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.tunnels = [known[name] for name in options.tunnels]
    if options.rounds < 1 or options.seconds < 1:
        parser.error("at least one round of one second")
    return options


def numbers(text):
    values = [float(one) for one in text.split(",")]
    if min(values) < 0:
        raise argparse.ArgumentTypeError("a number is negative")
    return values


def chosen(known):
    def parse(text):
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is none of: {' '.join(known)}")
        return [name for name in known if name in text.split(",")]

    return parse


if __name__ == "__main__":
    main()
