"""A foreign peer: wireguard-go as Debian ships it, configured by the real `wg`."""

import os

from . import gateway
from .daemon import Daemon
from .waiting import wait_until

_WG_KEYS = ("PrivateKey", "ListenPort", "PublicKey", "PresharedKey", "AllowedIPs", "Endpoint", "[")


class WireGuardGo(Daemon):
    """wireguard-go at a site of the lab. `options` are those of `gateway.config`."""

    def __init__(self, lab, site, **options):
        self.lab, self.site, self.options, self.name = lab, site, options, site.name
        super().__init__(
            site.gateway, lab.directory / f"{self.name}.log", ["wireguard-go", "-f", self.name],
            {"LOG_LEVEL": "error"})

    def start(self):
        super().start()
        wait_until(self._ready, "wireguard-go makes its interface")
        file = self.lab.directory / f"{self.name}.wg"
        file.write_text(_for_wg(gateway.config(self.lab, self.site, **self.options)))
        run = self.namespace.run
        run("wg", "setconf", self.name, file)
        run("ip", "address", "add", f"{self.site.tunnel_address}/32", "dev", self.name)
        run("ip", "link", "set", self.name, "mtu", 1420, "up")
        for prefix in self.lab.other(self.site).allowed_ips:
            if self.lab.ipv6 or ":" not in prefix:
                run("ip", "route", "add", prefix, "dev", self.name)
        return self

    def has_handshake(self):
        return not self._show("latest-handshakes").endswith("\t0")

    def transferred(self):
        """Bytes received and sent, as wg counts."""
        _, received, sent = self._show("transfer").split("\t")
        return int(received), int(sent)

    def _show(self, what):
        return self.namespace.run("wg", "show", self.name, what).stdout.strip()

    def _ready(self):
        self.check_alive()
        return os.path.exists(f"/var/run/wireguard/{self.name}.sock")


def _for_wg(text):
    """The lines that `wg setconf` knows: as `wg-quick strip` gives them."""
    return "".join(line + "\n" for line in text.splitlines() if line.startswith(_WG_KEYS))
