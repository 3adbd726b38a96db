#!/usr/bin/env -S /usr/bin/python3 -B
"""What real programs that say little at a time put on the wire: units alone, and with history. Two minutes a round.

  bench/history.py                                  all programs
  bench/history.py --programs dns,sip --rounds 3    some of them; medians
  bench/history.py --detail                         with what the gateways counted

Hosts behind gateways over a link of 2 Mbit/s and 40 ms, with Rate at both ends, one pair for each setting side by side. Counted are
the bytes of Ethernet frames on the link, both ways, from the program's start until a second after its end, with all that the gateways say to each
other. Runs as root; GATEWAY_BIN names the gateway to measure; the programs are Debian's (`scripts/setup bench`).
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import statistics
import sys
import time

import bed  # noqa: F401 - lets the laboratory be found
from programs import PROGRAMS
from rows.place import Place

RATE, RTT, RATE_SETTING = 2, 40, "1.98mbit"
SETTINGS = {"none": ["History = off"], "off": ["History = off"], "flow": ["History = auto"],
            "hosts": ["History = auto", "HistoryScope = hosts"]}
_SETTLED = 1
"""Seconds after the end."""


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit("the benchmark makes network namespaces: run it as root")
    found = {name: [] for name in options.programs}
    start = time.monotonic()
    for _ in range(options.rounds):
        for name in options.programs:
            found[name].append(sample(PROGRAMS[name], options.detail))
    print(HEAD)
    total = {}
    for name, rounds in found.items():
        medians = {what: statistics.median(one[what] for one in rounds) for what in rounds[0]}
        total = {what: total.get(what, 0) + value for what, value in medians.items()}
        print(row(PROGRAMS[name].title, medians))
    print(row("all of them", total))
    print(f"\n  {options.rounds} rounds, medians, {time.monotonic() - start:.0f} s; bytes on the wire with Ethernet, IPv4, UDP and WireGuard")
    if options.json:
        options.json.write(json.dumps({"command": sys.argv, "samples": found}, indent=1))


HEAD = ("  program                    packets   inside  uncompressed  units alone      flow     hosts   flow ÷ alone  hosts ÷ alone")


def row(title, of):
    return (f"  {title:24} {of['packets']:9.0f} {of['inside']:8.0f} {of['none']:13.0f} {of['off']:12.0f} {of['flow']:9.0f}"
            f" {of['hosts']:9.0f} {of['flow'] / of['off']:14.3f} {of['hosts'] / of['off']:14.3f}")


def sample(program, detail):
    """Runs the program under each setting at the same time."""
    with contextlib.ExitStack() as stack:
        places = {}
        for setting, peer in SETTINGS.items():
            place = stack.enter_context(Place(RATE, RTT))
            compression = "off" if setting == "none" else "auto"
            gateways = stack.enter_context(place.tunnel("gateway", **{end: {
                "interface": [f"Rate = {RATE_SETTING}"], "compression": compression, "peer": peer} for end in ("a", "b")}))
            one = program(place)
            stack.enter_context(one.served())
            places[setting] = place, gateways, one
        # The path's MTU is found, HELLOs are exchanged.
        time.sleep(2)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            counted = dict(zip(places, pool.map(lambda each: count(*each), places.values())))
        if detail:
            for setting, (_, gateways, _) in places.items():
                for gateway in gateways:
                    print(f"    {setting}: {gateway.peer().get('history')}")
    return {"packets": counted["off"][0], "inside": counted["off"][1], **{setting: one[2] for setting, one in counted.items()}}


def count(place, gateways, program):
    """Packets and bytes inside, and bytes on the wire."""
    place.link.report()
    before = inside(place)
    program.run()
    time.sleep(_SETTLED)
    wire = sum(one.sent["bytes"] for one in place.link.report().values())
    for gateway in gateways:
        gateway.check_alive()
    return *(after - earlier for after, earlier in zip(inside(place), before)), wire


def inside(place):
    """Packets and their bytes, in both directions."""
    (device,) = json.loads(place.a.gateway.run("ip", "-s", "-j", "link", "show", place.a.name).stdout)
    both = device["stats64"]["rx"], device["stats64"]["tx"]
    return sum(one["packets"] for one in both), sum(one["bytes"] for one in both)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=lambda text: text.split(","), default=list(PROGRAMS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--detail", action="store_true")
    parser.add_argument("--json", type=argparse.FileType("w"), help="a file for every sample")
    options = parser.parse_args()
    for name in options.programs:
        if name not in PROGRAMS:
            parser.error(f"no program {name}; there are {', '.join(PROGRAMS)}")
    return options


if __name__ == "__main__":
    main()
