#!/usr/bin/env -S /usr/bin/python3 -B
"""What an MTU of 1500 inside costs over one of 1500 outside, against 1420 inside, in turns: goodput, datagrams, processor time.

  bench/inner.py [--rounds 5] [--seconds 3] [--rate 50mbit] [--inner 1420,1500,9000] [--compression auto]

Hosts behind gateways; one TCP stream of random bytes by iperf3 (cubic), then four. --rate shapes the wire in both directions. The
datagrams of a megabyte are counted on the wire. Runs as root; GATEWAY_BIN names the gateway to measure.
"""

import argparse
import contextlib
import json
import os
import statistics

import bed  # noqa: F401 - lets the laboratory be found
from lab import Daemon, Lab, link, payload, wait_until, wait_until_path_known
from lab.traffic import send_tcp

_TICKS = os.sysconf("SC_CLK_TCK")


def main():
    options = arguments()
    with contextlib.ExitStack() as stack:
        labs = {inner: stack.enter_context(Lab(rate=options.rate, lan_mtu=max(inner, 1500))) for inner in options.inner}
        ends = {inner: stack.enter_context(link(lab, compression=options.compression, interface=(f"MTU = {inner}",)))
                for inner, lab in labs.items()}
        for inner, lab in labs.items():
            wait_until_path_known(lab, *ends[inner], mtu=1500)
        samples = {(inner, streams): [] for inner in labs for streams in (1, 4)}
        for number in range(options.rounds):
            order = options.inner[number % len(labs):] + options.inner[:number % len(labs)]
            for streams in (1, 4):
                for inner in order:
                    samples[inner, streams].append(measure(labs[inner], ends[inner], streams, options.seconds))
        counts = {inner: datagrams(lab) for inner, lab in labs.items()}
    first = options.inner[0]
    print("  inner  streams   Mbit/s   of the first   CPU s/GB   datagrams of 16 MB   of the first")
    for (inner, streams), taken in samples.items():
        goodput, cost = (statistics.median(column) for column in zip(*taken))
        ratios = [one[0] / other[0] for one, other in zip(taken, samples[first, streams])]
        print(f"  {inner:5}  {streams:7}  {goodput:7.0f}   {statistics.median(ratios):12.3f}   {cost:8.2f}   {counts[inner]:18}"
              f"   {counts[inner] / counts[first]:12.3f}")


def measure(lab, ends, streams, seconds):
    """Mbit/s that arrive, and seconds of processor that both gateways take for a gigabyte."""
    server = Daemon(lab.b.host, lab.directory / "iperf3.log", ["iperf3", "-s", "-1"])
    with server:
        wait_until(lambda: ":5201" in lab.b.host.run("ss", "-Hltn").stdout, "iperf3 listens")
        before = sum(map(processor, ends))
        done = lab.a.host.run("iperf3", "-c", lab.b.v4, "-J", "-t", seconds, "-P", streams, "-C", "cubic")
        received = json.loads(done.stdout)["end"]["sum_received"]
        used = sum(map(processor, ends)) - before
        server.process.kill()
    return received["bits_per_second"] / 1e6, used / (received["bytes"] / 1e9)


def datagrams(lab):
    with lab.record() as wire:
        send_tcp(lab.a.host, lab.b.host, lab.b.v4, payload.random(16 << 20), timeout=60)
        wire.settle()
        return len([one for one in wire.sent_by(lab.a.outer, 4) if one.size > 500])


def processor(end):
    with open(f"/proc/{end.process.pid}/stat") as stat:
        fields = stat.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rate")
    parser.add_argument("--inner", type=lambda text: [int(one) for one in text.split(",")], default=[1420, 1500])
    parser.add_argument("--compression", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
