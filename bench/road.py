"""Two sites and a wire between them that is thin, long or lossy; what compression is measured on.

    host a ---- gateway a ============ gateway b ---- host b

A transfer begins at gateway a itself ("own"), or at its host, whose packets come one by one ("forwarded": without TSO and
GSO there is nothing left of the runs that TCP makes).
"""

import json
from typing import NamedTuple

from bed import Ends
from lab import Lab
from lab.impaired import TOLERANCE

PLACES = ("own", "forwarded")
_QUEUE_TIME, _QUEUE_SIZE = 50, 32 << 10
"""The queue before the rate: so many ms, but at least so many bytes."""
_SLOT = 0.2
"""ms: from 100 Mbit/s on, the wire delivers in such steps; that halves what its process costs."""


class Wire(NamedTuple):
    rate: float
    """Mbit/s; 0: as fast as it goes."""
    rtt: float
    """ms, without what waits in queues."""
    loss: float
    """Percent, each way."""

    @property
    def label(self):
        rate = f"{self.rate:g} Mbit/s" if self.rate else "unshaped"
        return f"{rate}, {self.rtt:g} ms" + (f", {self.loss:g} % loss" if self.loss else "")

    @property
    def faults(self):
        """What `Link` is asked for, or None: a veth, with tbf before it if there is a rate, and hardly any delay.

        Before tbf a sender waits; a datagram that finds no room in a `Link` is lost, as on the way through a network.
        """
        if not self.loss and self.rtt < 1:
            return None
        shape = {"rate": self.rate, "queue": max(_QUEUE_TIME, _QUEUE_SIZE * 8e-3 / self.rate)} if self.rate else {}
        slot = {"slot": _SLOT} if self.rate >= 100 and self.rtt >= _SLOT else {}
        return {"delay": self.rtt / 2, "loss": self.loss, **shape, **slot}


class Road(Ends, Lab):
    """The four namespaces with that wire. seed: of its losses."""

    def __init__(self, wire, seed):
        self.wire, self._sent, faults = wire, 0, wire.faults
        if faults:
            super().__init__(offloads=False, ipv6=False, faults={**faults, "seed": seed})
        else:
            super().__init__(offloads=False, ipv6=False, rate=wire.rate and f"{wire.rate:g}mbit")

    def __enter__(self):
        super().__enter__()
        for site in self.sites:
            for namespace in (site.host, site.gateway):
                # Enough for 200 Mbit/s, compressed to a seventh, over 40 ms.
                namespace.sysctl(ipv4__tcp_rmem="4096 131072 33554432", ipv4__tcp_wmem="4096 65536 33554432")
        return self

    def join(self, is_tunnelled):
        """Routes between the hosts: through the tunnels, or over the wire."""
        for site in self.sites:
            other = self.other(site)
            via = ["via", other.outer]
            if is_tunnelled:
                via = ["dev", site.name] if self._is_point_to_point(site) else ["via", other.tunnel_address]
            site.gateway.run("ip", "route", "replace", other.networks[0], *via)

    def ends_of(self, place, is_tunnelled):
        """Where a transfer begins, where it ends, and the address to send to."""
        if place == "forwarded":
            return self.a.host, self.b.host, self.b.v4
        return self.a.gateway, self.b.gateway, self.b.tunnel_address if is_tunnelled else self.b.outer

    def wire_bytes(self, seconds):
        """What has left gateway a since this was asked last, so many seconds ago, and what the wire did wrong since."""
        if self.link:
            report = self.link.report()
            wrong = [f"{name}: {what}" for name, one in report.items() for what in one.deviations()]
            return report["there"].sent["bytes"], wrong
        if self.rate:
            total = self._ask(self.a, "tc", "-s", "-j", "qdisc", "show", "dev", "wan")["bytes"]
        else:
            total = self._ask(self.a, "ip", "-s", "-j", "link", "show", "wan")["stats64"]["tx"]["bytes"]
        since, self._sent = total - self._sent, total
        rate = since * 8e-6 / seconds if seconds else 0
        if self.wire.rate and rate > self.wire.rate * (1 + TOLERANCE):
            return since, [f"a rate of {rate:.2f} Mbit/s instead of {self.wire.rate:g}"]
        return since, []

    def _is_point_to_point(self, site):
        return "POINTOPOINT" in self._ask(site, "ip", "-j", "link", "show", site.name)["flags"]

    @staticmethod
    def _ask(site, *question):
        (answer,) = json.loads(site.gateway.run(*question).stdout)
        return answer
