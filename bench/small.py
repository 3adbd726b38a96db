#!/usr/bin/env -S /usr/bin/python3 -B
"""What becomes of small UDP packets: of many flows in bursts, bytes on the wire; alone, their time. About 20 seconds.

  bench/small.py [--flows 20] [--a-second 200] [--rounds 400]

The packets' content is random. Runs as root; GATEWAY_BIN names the gateway to measure. Times are of two tunnels at once,
without and with compression, asked in turns.
"""

import argparse
import contextlib
import itertools
import statistics
import time

import bed  # noqa: F401 - lets the laboratory be found
from lab import Lab, link
from lab.small_packets import HEADERS, Echo, send_bursts

MODES = ("off", "auto")
PAYLOADS = (60, 60 - HEADERS)


def main():
    options = arguments()
    with contextlib.ExitStack() as stack:
        labs = {mode: stack.enter_context(Lab()) for mode in MODES}
        wires = {mode: stack.enter_context(lab.record()) for mode, lab in labs.items()}
        gateways = {mode: stack.enter_context(link(lab, compression=mode))[0] for mode, lab in labs.items()}
        print(f"  {options.flows} flows, {options.a_second} bursts a second. Whole: the gateway finds each burst whole, as from a"
              " network card\n  that saves interrupts; else it begins with the first packet.\n")
        print("  payload  burst  compression  packets a datagram  bytes on the wire  as UDP payload  against off")
        for payload, whole in itertools.product(PAYLOADS, (True, False)):
            bursts = {mode: send_bursts(lab, wires[mode], payload, gateways[mode] if whole else None, options.flows,
                                        options.a_second) for mode, lab in labs.items()}
            for mode, one in bursts.items():
                packets, off = sum(map(len, one.received)), bursts["off"]
                print(f"  {payload:7}  {'whole' if whole else '':5}  {mode:11}  {packets / one.datagrams:18.1f}"
                      f"  {one.wire_bytes:17,}  {one.payload_bytes:14,}"
                      f"  {one.wire_bytes / off.wire_bytes - 1:6.1%} {one.payload_bytes / off.payload_bytes - 1:6.1%}")
        print("\n  alone, microseconds   there: median, 9 of 10 below   and back: median, 9 of 10 below")
        for payload in PAYLOADS:
            for mode, times in alone(labs, payload, options.rounds).items():
                columns = [f"{statistics.median(one) * 1e6:14.0f} {statistics.quantiles(one, n=10)[8] * 1e6:16.0f}"
                           for one in zip(*times)]
                print(f"  {payload:7}  {mode:11} {columns[0]} {columns[1]}")


def alone(labs, payload, rounds):
    times = {mode: [] for mode in labs}
    with contextlib.ExitStack() as stack:
        echoes = {mode: stack.enter_context(Echo(lab, payload)) for mode, lab in labs.items()}
        for number in range(rounds):
            for mode in MODES if number % 2 else reversed(MODES):
                times[mode].append(echoes[mode].ask())
                time.sleep(0.002)
    return times


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=20)
    parser.add_argument("--a-second", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=400, help="packets alone, of each tunnel and size")
    return parser.parse_args()


if __name__ == "__main__":
    main()
