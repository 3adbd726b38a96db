#!/usr/bin/env -S /usr/bin/python3 -B
"""Measures what the gateway is like in front of a thin link: what waits, who comes first, and how well a rate is kept.

  bench/thin.py                                     all rows, three rounds: about eighty minutes
  bench/thin.py --plan                              only says how long
  bench/thin.py --rows ping,voice --rounds 1        some of it
  bench/thin.py --rows ping --cases "2 Mbit/s"      of a row the cases whose label begins so
  bench/thin.py --realtime                          on a machine that does other things: all that is measured goes first

Hosts behind gateways, in namespaces, over the process of Tests/link with a queue of 500 ms; cubic on the hosts. Beside
them no tunnel and the wireguard-go of WIREGUARD_GO, else ../shared/bin/wireguard-go. Runs as root; GATEWAY_BIN names the
gateway to measure. In each round everything is started anew. The samples go to bench/results as JSON.
"""

import argparse
import contextlib
import datetime
import os
import shlex
import signal
import statistics
import sys
import time
import traceback
from pathlib import Path

import corpus
import machine
from compression import FAILURES, RESULTS, Results, chosen, say, text
from rows import ROWS

_COLUMN = 14


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows = [ROWS[name] for name in options.rows]
    takes = {row.name: row.rounds(options) * len(cases(row, options)) * row.takes(options) for row in rows}
    print(f"  {options.rounds} rounds, about {sum(takes.values()) / 60:.0f} min: "
          + ", ".join(f"{name} {seconds / 60:.1f}" for name, seconds in takes.items()))
    if options.plan:
        return
    if {"goodput", "shares", "runs", "history", "interleaved"} & set(options.rows):
        for name in ("text", "logs"):
            corpus.build(name, options.size * corpus.MEGABYTE)
    if options.realtime:
        # Inherited by all that is started from here on.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    results = Results()
    start, stolen, date = time.monotonic(), machine.Stolen(), datetime.datetime.now()
    before = machine.load_average()
    with contextlib.suppress(KeyboardInterrupt):
        measure(rows, options, results)
    say("")
    conditions = {
        "date": date.isoformat(timespec="seconds"), "command": shlex.join(["bench/thin.py", *sys.argv[1:]]),
        "took": round(time.monotonic() - start), "rounds": options.rounds, "seconds": options.seconds,
        "machine": machine.describe(), "stolen": round(stolen.share(), 4),
        "load average": {"before": before, "after": machine.load_average()}, "versions": machine.versions(["irtt"])}
    path = options.json or RESULTS / f"thin-{date:%Y-%m-%d-%H%M%S}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(results.json(conditions))
    print("\n".join(table(rows, options, results)))
    print(f"\n  {conditions['took']} s; load average before {before[0]}, after {machine.load_average()[0]};"
          f" every sample: {path}")


def measure(rows, options, results):
    """Every case of every row in every round; a row of many runs has its share of them in each."""
    for number in range(options.rounds):
        for row in rows:
            of_row = cases(row, options)
            turn = number % len(of_row)
            of_round = range(number, row.rounds(options), options.rounds)
            for run in of_round:
                for case in of_row[turn:] + of_row[:turn]:
                    say(f"round {number + 1} of {options.rounds}: {row.name}: {case.label} …")
                    sample(row, case, options, results, run + 1)


def sample(row, case, options, results, number):
    named = {"row": row.name, "case": case.label}
    for is_last in (False, True):
        load = machine.load_average()[0]
        try:
            return results.add({**named, "round": number, "load": load}, row.measure(case, options, number))
        except FAILURES as error:
            if options.trace:
                traceback.print_exc()
            if is_last:
                results.fail(named, error)


def table(rows, options, results):
    """For each row the medians of its cases."""
    for row in rows:
        of_row = cases(row, options)
        widest = max(len(case.label) for case in of_row)
        yield from ["", f"  {row.title}", f"  asked for: {row.goal}"]
        yield " " * (widest + 2) + "".join(column.title.rjust(_COLUMN) for column in row.columns)
        for case in of_row:
            named = {"row": row.name, "case": case.label}
            yield "  " + case.label.ljust(widest) + "".join(
                text(value(results, named, column.field), _COLUMN, column.digits) for column in row.columns)
    reasons = {(f"{one['row']}: {one['case']}", one["why"]) for one in results.failures}
    if reasons:
        yield from ["", "  failed:", *(f"  {where}: {why}" for where, why in sorted(reasons))]


def value(results, case, field):
    """The median of a field's samples; `FIELD:least` is the least of them, `FIELD:evenness` that as a part of the median."""
    name, _, what = field.partition(":")
    found = [one[name] for one in results.samples if case.items() <= one.items() and one[name] is not None]
    if not found:
        return None
    median = statistics.median(found)
    if not what:
        return median
    return min(found) if what == "least" else min(found) / median


def cases(row, options):
    """Those of a row that were asked for; all if none of them was."""
    of_row = [case for case in row.cases if case.label.startswith(options.cases)]
    if row.name == "runs" and not options.against:
        of_row = [case for case in of_row if case.of["program"] == "own"]
    return of_row or list(row.cases)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", action="store_true", help="say how long it takes, and no more")
    parser.add_argument("--rows", type=chosen(ROWS), default=list(ROWS), metavar="A,B", help=f"some of: {' '.join(ROWS)}")
    parser.add_argument("--cases", default="", metavar="TEXT", help="of each row those whose label begins so")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="of the window that counts; default 5")
    parser.add_argument("--runs", type=int, default=10, help="of the row `runs`, in all rounds; default 10")
    parser.add_argument("--against", type=Path, metavar="PROGRAM", help="another gateway, for the row `runs`")
    parser.add_argument("--size", type=int, default=128, metavar="MB", help="of text and logs; default 128")
    parser.add_argument("--realtime", action="store_true", help="schedule all that is measured before other work (SCHED_RR)")
    parser.add_argument("--trace", action="store_true", help="show where a measurement failed")
    parser.add_argument("--json", type=Path, help="the file for the samples")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1:
        parser.error("at least one round of one second")
    return options


if __name__ == "__main__":
    main()
