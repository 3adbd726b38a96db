"""Offices whose Ethernets are one: in each a host and a gateway, with a bridge between the host and the tunnel.

     host a ── lan ══ br0 ══ tap          tap ══ br0 ══ lan ── host b
    10.5.0.1       gateway a   wan ─── wan   gateway b        10.5.0.2
                       192.0.2.1            192.0.2.2
"""

import contextlib
import itertools
import shutil
import tempfile
from pathlib import Path

from . import watchdog
from .gateway import Gateway
from .namespace import Namespace
from .site import PORT, Keys
from .waiting import wait_until

_numbers = itertools.count(1)


class Office:
    """One of the sites, from number 1. Its host's address is known beforehand."""

    def __init__(self, number, name, host, gateway):
        self.number, self.name, self.host, self.gateway = number, name, host, gateway
        self.letter = "abcdefgh"[number - 1]
        self.keys = Keys()
        self.outer = f"192.0.2.{number}"
        self.v4, self.v6 = f"10.5.0.{number}", f"fd05::{number}"
        self.mac = f"52:54:00:00:00:0{number}"
        self.endpoint = f"{self.outer}:{PORT}"


class Offices:
    """count: of the offices. addressed: False leaves the hosts without addresses.    lan_mtu: of bridges and hosts."""

    def __init__(self, count=2, addressed=True, lan_mtu=1500):
        self.count, self.addressed, self.lan_mtu = count, addressed, lan_mtu

    def __enter__(self):
        watchdog.start()
        with contextlib.ExitStack() as stack:
            self.directory = Path(tempfile.mkdtemp(prefix=watchdog.mark()))
            stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            mark = f"e{next(_numbers)}"
            self.wide = stack.enter_context(Namespace(f"{mark}-wide"))
            self.wide.run("ip", "link", "add", "br0", "up", "type", "bridge")
            self.sites = []
            for number in range(1, self.count + 1):
                host, gateway = (
                    stack.enter_context(Namespace(f"{mark}-{role}-{number}")) for role in ("host", "gateway"))
                self.sites.append(Office(number, f"{watchdog.mark()}{mark}{'abcdefgh'[number - 1]}", host, gateway))
            for site in self.sites:
                self._build(site)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def __getitem__(self, index):
        return self.sites[index]

    @contextlib.contextmanager
    def tunnel(self, hub=None, star=None, **options):
        """Runs a gateway at every office. Everyone is everyone's peer; with `hub` or `star`, an office, it is the only
        peer of the others, with or without `Hub = true`. options: of `config`."""
        centre = hub or star
        with contextlib.ExitStack() as stack:
            gateways = []
            for site in self.sites:
                others = [other for other in self.sites if other is not site]
                peers = others if centre in (None, site) else [centre]
                interface = [*options.get("interface", ()), *(["#: Hub = true"] if site is hub else [])]
                text = config(site, peers, **{**options, "interface": interface})
                gateways.append(stack.enter_context(self.gateway(site, text)))
            for gateway in gateways:
                wait_until(
                    lambda: all(peer["latestHandshake"] for peer in gateway.stats()["peers"]) or self._knock(),
                    f"{gateway.name} shakes hands", timeout=15)
            yield gateways

    def gateway(self, site, text):
        """Our daemon at an office, with this config file; not yet started."""
        path = self.directory / f"{site.name}.conf"
        path.write_text(text)
        path.chmod(0o600)
        return Gateway(self, site, path)

    def ping(self, sender, receiver, *options, v6=False, wait=1):
        address = receiver.v6 if v6 else receiver.v4
        done = sender.host.run("ping", "-q", "-n", "-c", 1, "-W", wait, *options, address, check=False)
        return done.returncode == 0

    def wait_until_pinged(self, sender, receiver, **options):
        wait_until(
            lambda: self.ping(sender, receiver, **options),
            f"a ping from host {sender.letter} to host {receiver.letter} comes back", timeout=15)

    def _knock(self):
        """Traffic, so that the gateways have a reason to shake hands."""
        for site in self.sites:
            site.host.run("ping", "-q", "-n", "-c", 1, "-W", "0.1", "10.5.0.250", check=False)
        return False

    def _build(self, site):
        host, gateway = site.host, site.gateway
        for namespace in (host, gateway):
            namespace.sysctl(ipv6__conf__default__accept_dad=0)
        # Nothing but the tests shall speak on the bridge.
        gateway.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
        mtu = self.lan_mtu
        gateway.run("ip", "link", "add", "br0", "mtu", mtu, "up", "type", "bridge")
        host.run("ip", "link", "add", "lan", "address", site.mac, "mtu", mtu, "type", "veth",
                 "peer", "name", "lan", "mtu", mtu, "netns", gateway.name)
        gateway.run("ip", "link", "set", "lan", "master", "br0", "up")
        host.run("ip", "link", "set", "lan", "up")
        if self.addressed:
            host.run("ip", "address", "add", f"{site.v4}/24", "dev", "lan")
            host.run("ip", "address", "add", f"{site.v6}/64", "dev", "lan", "nodad")
        port = f"site{site.number}"
        gateway.run("ip", "link", "add", "wan", "type", "veth", "peer", "name", port, "netns", self.wide.name)
        gateway.run("ip", "address", "add", f"{site.outer}/24", "dev", "wan")
        gateway.run("ip", "link", "set", "wan", "up")
        self.wide.run("ip", "link", "set", port, "master", "br0", "up")


def config(site, peers, *, compression=None, bridge="br0", interface=(), peer=()):
    """The text of an office's config file; interface, peer: further lines for these sections."""
    lines = ["[Interface]", f"PrivateKey = {site.keys.private}", f"ListenPort = {PORT}", "#: Mode = tap",
             *([f"#: Bridge = {bridge}"] if bridge else []), *interface]
    for other in peers:
        lines += ["", "[Peer]", f"#: Name = {other.letter}", f"PublicKey = {other.keys.public}",
                  f"Endpoint = {other.endpoint}", *([f"#: Compression = {compression}"] if compression else []), *peer]
    return "\n".join(lines) + "\n"
