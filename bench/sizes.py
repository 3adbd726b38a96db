#!/usr/bin/env -S /usr/bin/python3 -B
"""Whatever the path takes outside, and whoever says so, everything arrives inside: the whole matrix, a quarter of an hour.

  bench/sizes.py                                        168 cells
  bench/sizes.py --devices tap --outer 576,1280         some of it
  bench/sizes.py --compression receive                  without compression

Outer MTU 1500, 1420, 1280, 576 × ICMP passed, dropped × IP fragments passed, dropped × inner MTU 1420, 1500, 9000 × TUN, TAP ×
IPv4, IPv6 outside. In each cell both gateways start; then TCP of a megabyte in both directions, UDP of 1, 1200, 1472 and 8000
bytes there and back, and a ping with DF that fills the tunnel. The times are from the call that connects, with gateways that have
not met, to the first byte and the last; and for the megabyte back. Runs as root; GATEWAY_BIN names the gateway to measure.
Exit code: 1 if something did not arrive.
"""

import argparse
import itertools
import os
import statistics
import sys
import time

import bed  # noqa: F401 - lets the laboratory be found
from lab.sizes import Field, cells

_HEAD = "  outside  device  outer  ICMP     fragments  inner   first byte   1 MB   back"


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit("the benchmark makes network namespaces: run it as root")
    chosen = list(cells(options.families, options.devices, options.outer, options.inner))
    print(_HEAD, flush=True)
    start, outcomes, failures = time.monotonic(), [], []
    for ground, of_ground in itertools.groupby(chosen, lambda cell: cell.ground):
        with Field(ground) as field:
            for cell in of_ground:
                try:
                    outcome = field.run(cell, options.compression)
                except (AssertionError, OSError) as error:
                    failures.append(cell)
                    print(row(cell) + f"  {type(error).__name__}: {str(error).strip()[:200]}", flush=True)
                else:
                    outcomes.append(outcome)
                    print(row(cell) + "  {:7.0f} ms {:5.2f} s {:5.2f} s".format(
                        outcome.first * 1000, outcome.whole, outcome.back), flush=True)
    print(f"\n  {len(outcomes)} of {len(chosen)} cells: everything arrived; {time.monotonic() - start:.0f} s")
    for name, what in (("first byte", "first"), ("1 MB", "whole"), ("back", "back")):
        values = sorted(getattr(one, what) for one in outcomes)
        if values:
            print(f"  {name:10}  median {statistics.median(values):.3f} s, most {values[-1]:.3f} s")
    for cell in failures:
        print(f"  did not arrive: {cell}")
    sys.exit(bool(failures))


def row(cell):
    return "  {:7}  {:6}  {:5}  {:7}  {:9}  {:5}".format(
        f"IPv{cell.ground.family}", cell.ground.device, cell.outer, "passed" if cell.icmp else "dropped",
        "passed" if cell.fragments else "dropped", cell.inner)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda text: [int(one) for one in text.split(",")]  # noqa: E731
    parser.add_argument("--outer", type=numbers, default=[1500, 1420, 1280, 576])
    parser.add_argument("--inner", type=numbers, default=[1420, 1500, 9000])
    parser.add_argument("--families", type=numbers, default=[4, 6])
    parser.add_argument("--devices", type=lambda text: text.split(","), default=["tun", "tap"])
    parser.add_argument("--compression", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
