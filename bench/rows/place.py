"""The thin link: two sites with hosts behind gateways, and between them the process of Tests/link with half a second of queue.

    host a ---- gateway a ==== rate, delay, 500 ms of queue ==== gateway b ---- host b
"""

import contextlib
import json
import os
import re
import subprocess
import time
from pathlib import Path

import flow
from bed import TUNNEL_MTU
from echo import RoundTrips
from lab import Lab, Link, WireGuardGo, link, wait_until, wait_until_up
from lab.ethernet import Offices
from lab.gateway import REPOSITORY

QUEUE = 500
"""ms, of what waits in the modem."""
PART = 0.95
"""Of the link, is what `Rate` is set to."""
OVERHEAD = 14
"""Bytes of Ethernet before each datagram: `LinkOverhead` as it is by default, and what the link counts."""
OUTER = 20 + 8 + 32
"""Bytes of IPv4, UDP and WireGuard around each packet."""
INNER = 20 + 20 + 12
"""Bytes of IPv4, and of TCP with its timestamps, in each packet."""
_SLOT = 0.2
"""ms: from 100 Mbit/s on, the link delivers in such steps; that halves what its process costs."""
_FILE = 4 << 20
_NEAR = 15
"""Pings, one every 0.1 s, that say how long the path is."""
IDLE = 0.1 * _NEAR


def wireguard_go():
    """The newest wireguard-go: the one of `WIREGUARD_GO`, or what lies beside the project."""
    return Path(os.environ.get("WIREGUARD_GO") or REPOSITORY / "../shared/bin/wireguard-go")


def faults(rate, rtt):
    """Of the link, for `Link`: Mbit/s and ms."""
    return {"rate": rate, "delay": rtt / 2, "queue": QUEUE, **({"slot": _SLOT} if rate >= 100 else {})}


def allowed(rate, mtu=TUNNEL_MTU):
    """What TCP can carry where `rate` is kept to, in its unit: every datagram is full."""
    return rate * (mtu - INNER) / (mtu + OUTER + OVERHEAD)


def wire_bytes(size):
    """Bytes on the wire of a packet of that size: WireGuard fills it up to a multiple of 16."""
    return -(-size // 16) * 16 + OUTER + OVERHEAD


def with_large_windows(namespaces):
    """Enough to fill half a second at 200 Mbit/s."""
    for namespace in namespaces:
        namespace.sysctl(ipv4__tcp_rmem="4096 131072 33554432", ipv4__tcp_wmem="4096 65536 33554432")


class Place(Lab):
    """rate, rtt: of the link, in Mbit/s and ms. more: other faults of it, by the names of `Link`. Without a rate the wire is a veth."""

    def __init__(self, rate=None, rtt=40, **more):
        super().__init__(faults={**faults(rate, rtt), **more} if rate else None)

    def __enter__(self):
        super().__enter__()
        with_large_windows(site.host for site in self.sites)
        return self

    @property
    def random(self):
        """A file of random bytes."""
        return random_file(self.directory)

    @contextlib.contextmanager
    def tunnel(self, name, a=None, b=None):
        """Joins the two sites by `none`, `wireguard-go` or `gateway`; a, b: options of `gateway.config`, for a gateway."""
        if name == "none":
            for site in self.sites:
                other = self.other(site)
                site.gateway.run("ip", "route", "replace", other.networks[0], "via", other.outer)
            wait_until(lambda: self.ping(self.a, self.b.v4), "a ping from host to host comes back")
            yield ()
        elif name == "wireguard-go":
            with self._foreign(self.a) as one, self._foreign(self.b) as two:
                wait_until_up(self, one, two)
                yield one, two
        else:
            with link(self, a=a, b=b) as pair:
                yield pair

    def _foreign(self, site):
        one = WireGuardGo(self, site)
        one.argv = [wireguard_go(), *one.argv[1:]]
        return one


class TapPlace(Offices):
    """The same for two offices with one Ethernet, joined by TAP devices."""

    def __init__(self, rate, rtt=40):
        super().__init__(2)
        self.rate, self.rtt = rate, rtt

    def __enter__(self):
        super().__enter__()
        with contextlib.ExitStack() as stack:
            stack.push(super().__exit__)
            for site in self.sites:
                site.gateway.run("ip", "link", "delete", "wan")
            self.link = stack.enter_context(Link(*(site.gateway for site in self.sites), **faults(self.rate, self.rtt)))
            for site in self.sites:
                site.gateway.run("ip", "address", "add", f"{site.outer}/24", "dev", "wan")
            with_large_windows(site.host for site in self.sites)
            self._both = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._both.close()

    @property
    def a(self):
        return self.sites[0]

    @property
    def b(self):
        return self.sites[1]

    @property
    def random(self):
        return random_file(self.directory)

    @contextlib.contextmanager
    def tunnel(self, name, **options):
        with super().tunnel(**options) as gateways:
            self.wait_until_pinged(*self.sites)
            yield gateways


def random_file(directory):
    file = directory / "random"
    if not file.exists():
        file.write_bytes(os.urandom(_FILE))
    return file


class Uploads:
    """TCP streams with cubic that run side by side, on ports from `flow.PORT` on.

    targets: for each its receiver, the address there, and the file that is sent around and around.
    pace: bytes a second that each sender keeps to. control: TCP's congestion control.
    """

    def __init__(self, sender, targets, pace=0, control="cubic"):
        self.streams = [flow.Stream(sender, receiver, address, file, flow.PORT + number, pace, control)
                        for number, (receiver, address, file) in enumerate(targets)]

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for stream in self.streams:
                stack.enter_context(stream)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def run(self, seconds):
        """Lets them run so long, and returns the Mbit/s that each receiver got."""
        before, start = self._received(), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - start
        for stream in self.streams:
            stream.run(0)
        return [(after - earlier) * 8 / passed / 1e6 for after, earlier in zip(self._received(), before)]

    def _received(self):
        return [stream.received for stream in self.streams]


class Pings:
    """Pings for so many seconds, that go on beside something else until they are asked for."""

    def __init__(self, sender, address, seconds, interval=0.1):
        self.sent = int(seconds / interval)
        self._process = subprocess.Popen(
            sender.command("ping", "-n", "-i", interval, "-c", self.sent, "-W", 3, address),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def round_trips(self):
        said, _ = self._process.communicate(timeout=60)
        times = [float(one) for one in re.findall(r"time=([\d.]+) ms", said)]
        assert len(times) > 1, f"of {self.sent} pings {len(times)} were answered"
        return RoundTrips(self.sent, times)


def idle_path(sender, address):
    """The median round trip while nothing else is under way, ms."""
    return Pings(sender, address, IDLE).round_trips().median


def qdisc_bytes(namespace, device):
    """Bytes of frames that the device was given, in which each datagram of a run counts with headers of its own."""
    return json.loads(namespace.run("tc", "-s", "-j", "qdisc", "show", "dev", device).stdout)[0]["bytes"]
