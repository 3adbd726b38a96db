#!/usr/bin/env -S /usr/bin/python3 -B
"""Ethernet between offices against IP between sites, in turns: one TCP stream from host to host, goodput and processor time.

  bench/ethernet.py [--rounds 5] [--seconds 3] [--rows tun,tap,hub,vxlan] [--compression off] [--cipher auto] [--streams 1]
                    [--rate 20mbit] [--kept 19mbit] [--data text,logs]

    tun      two gateways, IP packets           tap      two gateways, Ethernet frames, hosts with an MTU of 1500
    hub      three, from site to site through the hub
    vxlan    what people do without: VXLAN of the kernel over wireguard-go, between bridges, hosts with the MTU that is left

Runs as root; GATEWAY_BIN names the gateway to measure, WIREGUARD_GO another wireguard-go than that of the path. GRETAP is measured in the
place of VXLAN with the row gretap, where the kernel has it. --rate shapes the wires in both directions, --kept is the `Rate` of the gateways; with --data some megabytes of text
and of a server's log go over TCP in the place of iperf3's bytes, and goodput is that of the whole.
"""

import argparse
import contextlib
import json
import os
import random
import statistics
import time

import bed  # noqa: F401 - lets the laboratory be found
from lab import Daemon, Lab, link, payload, wait_until
from lab.ethernet import Offices, config
from lab.link import wait_until_up
from lab.traffic import send_tcp

_SIZE = 12 << 20
_TICKS = os.sysconf("SC_CLK_TCK")
_WIREGUARD = os.environ.get("WIREGUARD_GO", "wireguard-go")
_OVERLAYS = {"vxlan": ("type", "vxlan", "id", 7, "dstport", 4789), "gretap": ("type", "gretap")}
# What is left of 1420 behind IP, UDP, VXLAN and Ethernet; behind IP, GRE and Ethernet.
_LEFT = {"vxlan": 1370, "gretap": 1382}


def main():
    options = arguments()
    with contextlib.ExitStack() as stack:
        beds = {row: stack.enter_context(build(row, options)) for row in options.rows}
        contents = [(name, content(name)) for name in options.data]
        for name, data in contents or [("iperf3", None)]:
            samples = {row: [] for row in beds}
            for number in range(options.rounds):
                shift = number % len(beds)
                for row in (options.rows[shift:] + options.rows[:shift]):
                    samples[row].append(measure(*beds[row], options, data))
            tell(name, samples, options.rows[0])


def tell(name, samples, first):
    print(f"  {name:8}   Mbit/s   of {first:5}   CPU s/GB   of {first:5}")
    for row, taken in samples.items():
        goodput, cost = (statistics.median(column) for column in zip(*taken))
        ratio, costs = (statistics.median(one[part] / other[part] for one, other in zip(taken, samples[first]))
                        for part in (0, 1))
        print(f"  {row:8}   {goodput:6.0f}   {ratio:8.3f}   {cost:8.2f}   {costs:8.3f}")


@contextlib.contextmanager
def build(row, options):
    """The two sites of a row, and its daemons."""
    peer = [f"#: Cipher = {options.cipher}"]
    interface = [f"#: Rate = {options.kept}"] if options.kept else []
    if row == "tun":
        with Lab(rate=options.rate) as lab, link(lab, compression=options.compression, peer=peer, interface=interface) as ends:
            wait_until_up(lab, *ends)
            yield lab, lab.a, lab.b, ends
    elif row in ("tap", "hub"):
        with Offices(3 if row == "hub" else 2) as lan:
            shape(lan, options)
            hub = lan[0] if row == "hub" else None
            with lan.tunnel(hub=hub, compression=options.compression, peer=peer, interface=interface) as ends:
                near, far = lan.sites[-2:]
                lan.wait_until_pinged(near, far)
                yield lan, near, far, ends
    else:
        with Offices(2, lan_mtu=_LEFT[row]) as lan, contextlib.ExitStack() as stack:
            shape(lan, options)
            ends = [stack.enter_context(overlay(lan, site, row)) for site in lan]
            lan.wait_until_pinged(*lan.sites)
            yield lan, *lan.sites, ends


@contextlib.contextmanager
def overlay(lan, site, kind):
    """wireguard-go at an office, and a port of the office's bridge that goes through it to the other."""
    other = next(one for one in lan if one is not site)
    daemon = Daemon(site.gateway, lan.directory / f"{site.name}.log", [_WIREGUARD, "-f", site.name], {"LOG_LEVEL": "error"})
    with daemon:
        wait_until(lambda: os.path.exists(f"/var/run/wireguard/{site.name}.sock"), "wireguard-go makes its interface")
        file = lan.directory / f"{site.name}.wg"
        file.write_text("".join(
            line + "\n" for line in config(site, [other], bridge=None, peer=[f"AllowedIPs = 10.66.0.{other.number}/32"]).splitlines()
            if not line.startswith("#:")))
        run = site.gateway.run
        run("wg", "setconf", site.name, file)
        run("ip", "address", "add", f"10.66.0.{site.number}/24", "dev", site.name)
        run("ip", "link", "set", site.name, "mtu", 1420, "up")
        ends = ("local", f"10.66.0.{site.number}", "remote", f"10.66.0.{other.number}")
        run("ip", "link", "add", "over", "mtu", _LEFT[kind], *_OVERLAYS[kind], *ends)
        run("ip", "link", "set", "over", "master", "br0", "up")
        yield daemon


def shape(lan, options):
    """As `Lab` does with its wire."""
    for site in lan if options.rate else ():
        site.gateway.run("tc", "qdisc", "add", "dev", "wan", "root", "tbf", "rate", options.rate, "burst", "16kb", "latency", "50ms")


def content(name):
    """Some megabytes of text, or of what a server logs."""
    if name == "text":
        return payload.text(_SIZE)
    chance, lines, size, clock = random.Random(5), [], 0, 1_700_000_000.0
    while size < _SIZE:
        clock += chance.expovariate(40)
        lines.append(json.dumps({
            "time": f"{clock:.3f}", "client": f"198.51.100.{int(chance.paretovariate(0.6)) % 254}", "status": chance.choice((200, 200, 304, 404)),
            "request": f"GET /items/{int(chance.paretovariate(0.8)) % 100_000}", "bytes": int(chance.lognormvariate(9, 2)),
            "duration": round(chance.expovariate(20), 4)}) + "\n")
        size += len(lines[-1])
    return "".join(lines).encode()


def measure(lab, near, far, ends, options, data):
    """Mbit/s that arrive, and seconds of processor that all daemons take for a gigabyte."""
    if data:
        before, start = sum(map(processor, ends)), time.monotonic()
        send_tcp(near.host, far.host, far.v4, data, timeout=120)
        took = time.monotonic() - start
        return len(data) * 8 / took / 1e6, (sum(map(processor, ends)) - before) / (len(data) / 1e9)
    server = Daemon(far.host, lab.directory / "iperf3.log", ["iperf3", "-s", "-1"])
    with server:
        wait_until(lambda: ":5201" in far.host.run("ss", "-Hltn").stdout, "iperf3 listens")
        before = sum(map(processor, ends))
        done = near.host.run("iperf3", "-c", far.v4, "-J", "-t", options.seconds, "-O", 1, "-P", options.streams, "-C", "cubic")
        said = json.loads(done.stdout)
        # The first second is left out of the goodput, and not of the cost.
        used = sum(map(processor, ends)) - before
        server.process.kill()
    received = said["end"]["sum_received"]
    whole = sum(one["sum"]["bytes"] for one in said["intervals"])
    return received["bits_per_second"] / 1e6, used / (whole / 1e9)


def processor(end):
    with open(f"/proc/{end.process.pid}/stat") as stat:
        fields = stat.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--rows", type=lambda text: text.split(","), default=["tun", "tap", "hub", "vxlan"])
    parser.add_argument("--compression", default="off")
    parser.add_argument("--cipher", default="auto")
    parser.add_argument("--rate")
    parser.add_argument("--kept")
    parser.add_argument("--data", type=lambda text: text.split(","), default=[])
    return parser.parse_args()


if __name__ == "__main__":
    main()
