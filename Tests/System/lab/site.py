"""One side of the link: a host behind a gateway, their addresses and their keys."""

import subprocess
from dataclasses import dataclass, field

from .namespace import Namespace

PORT = 51820


@dataclass
class Keys:
    """A WireGuard key pair, made by the real `wg`."""

    private: str = field(default_factory=lambda: _wg("genkey"))

    @property
    def public(self):
        return _wg("pubkey", self.private)


def preshared_key():
    return _wg("genpsk")


@dataclass
class Site:
    """Side "a" or "b". The host is `.2` in its LAN, the gateway `.1`."""

    letter: str
    name: str
    """The interface's name, and the config file's: unlike any other on this machine."""
    host: Namespace
    gateway: Namespace
    outer: str
    """The gateway's address on the wire between the gateways."""
    keys: Keys = field(default_factory=Keys)

    @property
    def number(self):
        return 1 if self.letter == "a" else 2

    @property
    def v4(self):
        return f"10.{self.number}.0.2"

    @property
    def v6(self):
        return f"fd01:{self.number}::2"

    @property
    def networks(self):
        return [f"10.{self.number}.0.0/24", f"fd01:{self.number}::/64"]

    @property
    def tunnel_address(self):
        return f"10.9.0.{self.number}"

    @property
    def endpoint(self):
        return f"[{self.outer}]:{PORT}" if ":" in self.outer else f"{self.outer}:{PORT}"

    @property
    def allowed_ips(self):
        """What the other side routes to this one."""
        return [*self.networks, f"{self.tunnel_address}/32"]


def _wg(command, text=None):
    return subprocess.run(["wg", command], input=text, capture_output=True, text=True, check=True).stdout.strip()
