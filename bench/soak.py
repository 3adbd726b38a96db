#!/usr/bin/env -S /usr/bin/python3 -B
"""Carries bytes both ways over a path that does everything wrong, and looks at every one of them.

  bench/soak.py                         half an hour
  bench/soak.py --seconds 600 --repair off   ten minutes without repair: how long streams stand still then

Hosts behind gateways, in namespaces; the wire is the process of Tests/link, whose faults change every few seconds, which goes
away for up to 200 s, and whose daemons are ended and started again. Runs as root; GATEWAY_BIN names the gateway. Exit code:
1 if a byte was wrong or a stream stuck.
"""

import argparse
import os
import signal
import sys
import time

import bed  # noqa: F401, for its path
from lab import soak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=1, help="of all that happens; default 1")
    parser.add_argument("--repair", choices=("auto", "off"), default="auto")
    parser.add_argument("--rate", help="`Rate` of both ends, such as 19mbit; none without")
    parser.add_argument("--away", type=float, default=200, metavar="SECONDS", help="the longest black-out; default 200")
    parser.add_argument("--realtime", action="store_true", help="schedule all of it before other work (SCHED_RR)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    start = time.monotonic()
    report = soak.soak(
        options.seconds, options.seed, peer=[f"Repair = {options.repair}"],
        interface=[f"Rate = {options.rate}"] if options.rate else [], most_away=options.away,
        say=lambda line: print(line, flush=True))
    print(f"\nRepair = {options.repair}, {time.monotonic() - start:.0f} s, seed {options.seed}")
    print("\n".join(soak.summary(report)))
    sys.exit(bool(report.wrong or report.stuck))


if __name__ == "__main__":
    main()
