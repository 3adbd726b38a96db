#!/usr/bin/env -S /usr/bin/python3 -B
"""The demonstration behind `make run`: two sites, a thin link between them, real traffic, one table.

Builds nothing. Makes four network namespaces (host - gateway - gateway - host), keys and config files with
gatewayctl, runs two daemons, and sends text and random bytes from host to host, with compression off and on.
Everything it makes carries its process id and is gone at the end, also after Ctrl-C.
"""

import argparse
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests/System"))

from lab import Gateway, Lab, all_drops, payload, wait_until, wait_until_up  # noqa: E402
from lab.gateway import GATEWAY, GATEWAYCTL, gatewayctl  # noqa: E402
from lab.traffic import send_tcp  # noqa: E402

MEGABYTE = 1 << 20
TERMINAL = sys.stdout.isatty()


class Row(NamedTuple):
    payload: str
    compression: str
    goodput: float
    inside: int
    wire: int
    handshake: float
    drops: int


def main():
    options = arguments()
    check_ready()
    print(bold("\n  Two sites, one thin link") + f", shaped to {options.rate} Mbit/s, in four namespaces\n")
    print(f"    host a ──── gateway a ════ {options.rate} Mbit/s ════ gateway b ──── host b")
    print(dim("    10.1.0.2    192.0.2.1                  192.0.2.2    10.2.0.2\n"))
    payloads = {"text": payload.text(64 * MEGABYTE), "random": payload.random(32 * MEGABYTE)}
    with Lab(rate=f"{options.rate}mbit", ipv6=False) as lab:
        # Names of this process alone: the daemons' sockets stand in directories that the machine shares.
        lab.a.name, lab.b.name = f"north-{os.getpid()}", f"south-{os.getpid()}"
        step("four namespaces, a veth between the gateways shaped with tbf")
        configs = make_configs(lab)
        rows = []
        for compression in ("off", "auto"):
            rows += run(lab, configs, compression, payloads, options.seconds)
    table(rows)
    print(dim("  Namespaces, keys and config files are gone.\n"))


def make_configs(lab):
    """Both sites' config files, made the way a person makes them."""
    names = [site.name for site in lab.sites]
    for name in names:
        gatewayctl("keygen", name, "--dir", lab.directory)
    step(f"gatewayctl keygen: a key pair for each site, {names[0]} and {names[1]}")
    gatewayctl("link", *names, "--dir", lab.directory,
               "--endpoint-a", lab.a.endpoint, "--endpoint-b", lab.b.endpoint,
               "--net-a", lab.a.networks[0], "--net-b", lab.b.networks[0])
    step(f"gatewayctl link: {names[0]}.conf and {names[1]}.conf")
    return [lab.directory / f"{name}.conf" for name in names]


def run(lab, configs, compression, payloads, seconds):
    """Both daemons with that setting, and each payload through them."""
    for config in configs:
        text, changes = re.subn(r"(?m)^(#:\s*)?Compression\s*=.*$", f"#: Compression = {compression}", config.read_text())
        if not changes:
            raise AssertionError(f"{config.name} has no line `Compression = …`; gatewayctl link should write one")
        config.write_text(text)
    print(bold(f"\n  Compression {compression}"))
    with lab.record() as wire, Gateway(lab, lab.a, configs[0]) as a, Gateway(lab, lab.b, configs[1]) as b:
        wait_until_up(lab, a, b)
        handshake = handshake_milliseconds(wire)
        if compression == "auto":
            wait_until(lambda: a.peer()["compression"]["active"], "both gateways agree on compression")
        step(f"the link is up, a handshake took {handshake:.1f} ms")
        step(f"ping from host a to host b: {ping(lab)}")
        return [send(lab, a, b, name, data, compression, handshake, seconds) for name, data in payloads.items()]


def send(lab, a, b, name, data, compression, handshake, seconds):
    """One transfer from host a to host b; its row of the table."""
    before, drops, wire = a.peer()["compression"]["tx"], drop_count(a, b), wire_bytes(lab)
    progress = Progress(f"{name} for {seconds} s", seconds)
    transfer = send_tcp(lab.a.host, lab.b.host, lab.b.v4, data, seconds=seconds, progress=progress)
    after = a.peer()["compression"]["tx"]
    progress.end(f"{name}: {transfer.bytes / 1e6:.1f} MB arrived unchanged, {transfer.megabits:.1f} Mbit/s")
    return Row(name, compression, transfer.megabits, after["plainBytes"] - before["plainBytes"],
               wire_bytes(lab) - wire, handshake, drop_count(a, b) - drops)


def handshake_milliseconds(wire):
    """From the initiation that was answered to its response, as the wire saw it at gateway a."""
    response = wait_until(lambda: next((d for d in list(wire.datagrams) if d.message_type == 2), None),
                          "a handshake response is seen on the wire")
    initiation = max(d.at for d in wire.datagrams if d.message_type == 1 and d.at <= response.at)
    return (response.at - initiation) * 1000


def ping(lab):
    done = lab.a.host.run("ping", "-n", "-q", "-c", 5, "-i", 0.2, lab.b.v4)
    fastest = re.search(r"= ([\d.]+)/([\d.]+)/", done.stdout)
    return f"{fastest.group(2)} ms"


def wire_bytes(lab):
    """What left gateway a on the wire, Ethernet and IP headers included: the count of the shaper itself."""
    (shaper,) = json.loads(lab.a.gateway.run("tc", "-s", "-j", "qdisc", "show", "dev", "wan").stdout)
    return shaper["bytes"]


def drop_count(*gateways):
    return sum(sum(all_drops(one.stats()).values()) for one in gateways)


def table(rows):
    heads = ("payload", "compression", "goodput", "bytes inside", "bytes on wire", "ratio", "handshake", "drops")
    cells = [(row.payload, row.compression, f"{row.goodput:.1f} Mbit/s", f"{row.inside:,}", f"{row.wire:,}",
              f"{row.inside / row.wire:.2f}", f"{row.handshake:.1f} ms", str(row.drops)) for row in rows]
    widths = [max(len(line[column]) for line in (heads, *cells)) for column in range(len(heads))]

    def line(parts):
        return "  " + "   ".join(p.ljust(w) if n < 2 else p.rjust(w) for n, (p, w) in enumerate(zip(parts, widths)))

    print("\n" + bold(line(heads)))
    print(dim("  " + "─" * (sum(widths) + 3 * (len(widths) - 1))))
    for row in cells:
        print(line(row))
    print(dim("\n  bytes inside: IP packets of that direction; on wire: Ethernet frames that carried them.\n"))


class Progress:
    """One line that counts up on a terminal; elsewhere a line at the start."""

    def __init__(self, what, seconds):
        self.what, self.seconds, self.start, self.shown = what, seconds, time.monotonic(), 0.0
        if not TERMINAL:
            print(f"  ▸ {what}", flush=True)

    def __call__(self, sent):
        now = time.monotonic()
        if TERMINAL and now - self.shown > 0.2:
            self.shown, passed = now, min(now - self.start, self.seconds)
            bar = "━" * int(24 * passed / self.seconds)
            print(f"\r  {dim('▸')} {self.what}  {bar:<24} {sent / 1e6:6.1f} MB", end="", flush=True)

    def end(self, said):
        if TERMINAL:
            print("\r\033[K", end="")
        step(said)


def arguments():
    parser = argparse.ArgumentParser(description="Two gateways, a thin link, real traffic, one table.")
    parser.add_argument("--rate", type=int, default=20, metavar="MBIT", help="rate of the link (default 20)")
    parser.add_argument("--seconds", type=float, default=8, help="length of each transfer (default 8)")
    return parser.parse_args()


def check_ready():
    if os.geteuid() != 0:
        raise AssertionError("network namespaces need root: run this with sudo")
    for binary in (GATEWAY, GATEWAYCTL):
        if not os.access(binary, os.X_OK):
            raise AssertionError(f"{binary} is not there: build it with `make build`, or set GATEWAY_BIN")


def step(what):
    print(f"  {green('✓')} {what}", flush=True)


def bold(text):
    return f"\033[1m{text}\033[0m" if TERMINAL else text


def dim(text):
    return f"\033[2m{text}\033[0m" if TERMINAL else text


def green(text):
    return f"\033[32m{text}\033[0m" if TERMINAL else text


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        print("\n  Stopped; namespaces and keys are gone.")
        sys.exit(130)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        print(f"\ndemo: {reason}", file=sys.stderr)
        sys.exit(1)
