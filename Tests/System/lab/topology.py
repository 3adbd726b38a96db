"""host A - gateway A - gateway B - host B, in four namespaces.

       host a             gateway a                 gateway b             host b
    lan 10.1.0.2 ---- lan 10.1.0.1
    fd01:1::2         wan 192.0.2.1 ============ wan 192.0.2.2
                      or 2001:db8::1             lan 10.2.0.1 ---- lan 10.2.0.2
"""

import contextlib
import itertools
import shutil
import tempfile
from pathlib import Path

from . import watchdog
from .impaired import Link
from .namespace import Namespace
from .recorder import Recorder
from .router import Router
from .site import Site

OUTER = {4: ("192.0.2.1", "192.0.2.2", 30), 6: ("2001:db8::1", "2001:db8::2", 64)}
QUEUE = "50ms"

_numbers = itertools.count(1)


class Lab:
    """The four namespaces; gone, with all that runs in them, when the block ends.

    outer: 4 or 6, the wire between the gateways.    rate: `20mbit` shapes that wire in both directions.
    offloads: False sends the hosts' packets one by one.    lan_mtu: 9000 for jumbo frames on the LANs.
    ipv6: False switches IPv6 off everywhere.    faults: options of `Link`, which then is the wire between the gateways.
    router: True puts a `Router` between the gateways.    wire_mtu: that of the gateways' interfaces to the wire.
    """

    def __init__(self, outer=4, rate=None, offloads=True, lan_mtu=1500, ipv6=True, faults=None,
                 router=False, wire_mtu=1500):
        self.faults, self.link = faults, None
        self.has_router, self.router, self.wire_mtu = router, None, wire_mtu
        self.outer, self.rate, self.offloads, self.lan_mtu, self.ipv6 = outer, rate, offloads, lan_mtu, ipv6

    def __enter__(self):
        watchdog.start()
        with contextlib.ExitStack() as stack:
            self.directory = Path(tempfile.mkdtemp(prefix=watchdog.mark()))
            stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            number = next(_numbers)
            host_a, gateway_a, gateway_b, host_b = (
                stack.enter_context(Namespace(f"{number}-{role}"))
                for role in ("host-a", "gateway-a", "gateway-b", "host-b"))
            address_a, address_b, _ = OUTER[self.outer]
            name = f"{watchdog.mark()}{number}"
            self.a = Site("a", name + "a", host_a, gateway_a, address_a)
            self.b = Site("b", name + "b", host_b, gateway_b, address_b)
            self.sites = (self.a, self.b)
            for site in self.sites:
                self._build_lan(site)
            if self.has_router:
                self.router = stack.enter_context(Router(self, f"{number}-router"))
            else:
                self._build_wire(stack)
            if self.ipv6:
                # Else they come while a test compares what is there before and after.
                for site in self.sites:
                    site.gateway.wait_for_link_local("lan", "wan")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def other(self, site):
        return self.b if site is self.a else self.a

    def record(self, site=None, **options):
        """Records the UDP datagrams on the wire between the gateways, both directions."""
        return Recorder((site or self.a).gateway, "wan", **options)

    def ping(self, sender, address, count=1, size=56, wait=1):
        """Pings from a site's host and returns whether every reply came."""
        done = sender.host.run(
            "ping", "-q", "-n", "-c", count, "-i", 0.2, "-W", wait, "-s", size, address, check=False)
        return done.returncode == 0 and f" {count} received" in done.stdout

    def _build_lan(self, site):
        host, gateway = site.host, site.gateway
        for namespace in (host, gateway):
            self._prepare(namespace)
        host.run("ip", "link", "add", "lan", "mtu", self.lan_mtu, "type", "veth",
                 "peer", "name", "lan", "mtu", self.lan_mtu, "netns", gateway.name)
        self._address(gateway, "lan", site.v4[:-1] + "1", 24)
        self._address(host, "lan", site.v4, 24)
        host.run("ip", "route", "add", "default", "via", site.v4[:-1] + "1")
        if self.ipv6:
            self._address(gateway, "lan", site.v6[:-1] + "1", 64)
            self._address(host, "lan", site.v6, 64)
            host.run("ip", "-6", "route", "add", "default", "via", site.v6[:-1] + "1")
        if not self.offloads:
            host.run("ethtool", "-K", "lan", "tso", "off", "gso", "off", "gro", "off")

    def _build_wire(self, stack):
        if self.faults is None:
            self.a.gateway.run("ip", "link", "add", "wan", "mtu", self.wire_mtu, "type", "veth",
                               "peer", "name", "wan", "mtu", self.wire_mtu, "netns", self.b.gateway.name)
        else:
            self.link = stack.enter_context(Link(self.a.gateway, self.b.gateway, **self.faults))
        for site in self.sites:
            self._address(site.gateway, "wan", site.outer, OUTER[self.outer][2])
            if self.rate:
                site.gateway.run("tc", "qdisc", "add", "dev", "wan", "root", "tbf",
                                 "rate", self.rate, "burst", "16kb", "latency", QUEUE)

    def _prepare(self, namespace):
        namespace.sysctl(ipv4__ip_forward=1, ipv4__conf__all__rp_filter=0, ipv4__conf__default__rp_filter=0)
        if self.ipv6:
            namespace.sysctl(ipv6__conf__all__forwarding=1, ipv6__conf__default__accept_dad=0)
        else:
            namespace.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)

    @staticmethod
    def _address(namespace, interface, address, length):
        options = ["nodad"] if ":" in address else []
        namespace.run("ip", "address", "add", f"{address}/{length}", "dev", interface, *options)
        namespace.run("ip", "link", "set", interface, "up")
