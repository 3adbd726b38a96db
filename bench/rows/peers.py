"""One flow to a peer against ten to another, behind the same thin link.

    host a ---- gateway a ==== rate, delay, 500 ms of queue ==== gateway b ---- host b
                                                                     |
                                                                 gateway c
"""

import contextlib
from typing import NamedTuple

from lab import Gateway, Namespace, Site, wait_until
from lab.gateway import config, write_config
from lab.site import PORT

from .place import PART, Place, Uploads
from .row import Case, Column, Row

RATE, RTT, FLOWS = 20, 40, 10
_ROUTER, _C = "203.0.113.1", "203.0.113.2"
_INSIDE = "10.9.0.3"
_WARM_UP = 4


class Peers(NamedTuple):
    share: float
    """Of all goodput, that of the single flow. Datagrams are full, so that it is that of the wire as well."""
    goodput: float
    """Mbit/s of all."""
    least: float
    """The slowest of the ten, as a part of their mean."""


def measure(case, options, number):
    with Place(RATE, RTT) as place, _star(place) as c:
        host, far = place.a.host, place.b
        targets = [(far.host, far.v4, place.random)] + [(c, _INSIDE, place.random)] * FLOWS
        with Uploads(host, targets) as uploads:
            uploads.run(_WARM_UP)
            single, *many = uploads.run(options.seconds)
    return Peers(single / (single + sum(many)), single + sum(many), min(many) / (sum(many) / FLOWS))


@contextlib.contextmanager
def _star(place):
    """Runs a gateway at a with two peers; b's is the router of the other's way."""
    a, b = place.sites
    with Namespace(f"{a.name[-2:]}-c") as namespace, contextlib.ExitStack() as stack:
        c = Site("c", a.name[:-1] + "c", namespace, namespace, _C)
        b.gateway.run("ip", "link", "add", "spare", "type", "veth", "peer", "name", "wan", "netns", namespace.name)
        place._address(b.gateway, "spare", _ROUTER, 30)
        place._address(namespace, "wan", _C, 30)
        namespace.run("ip", "route", "add", "default", "via", _ROUTER)
        a.gateway.run("ip", "route", "add", f"{_C}/32", "via", b.outer)
        peer = [f"PublicKey = {c.keys.public}", f"AllowedIPs = {_INSIDE}/32", f"Endpoint = {c.endpoint}"]
        text = config(place, a, interface=[f"Rate = {RATE * PART:g}mbit"]) + "\n".join(["[Peer]", *peer]) + "\n"
        far = ["[Interface]", f"PrivateKey = {c.keys.private}", f"ListenPort = {PORT}", f"Address = {_INSIDE}/32",
               "[Peer]", f"PublicKey = {a.keys.public}", f"Endpoint = {a.endpoint}",
               f"AllowedIPs = {a.tunnel_address}/32, {a.networks[0]}"]
        for site, words in ((a, text), (b, None), (c, "\n".join(far) + "\n")):
            stack.enter_context(Gateway(place, site, write_config(place, site, words)))
        for address in (b.v4, _INSIDE):
            wait_until(lambda: place.ping(a, address), f"{address} answers", timeout=15)
        yield namespace


ROW = Row(
    "peers", f"One flow to a peer against {FLOWS} to another, {RATE} Mbit/s, {RTT} ms",
    "half of [Interface] Rate each, within 5 %",
    [Case(f"[Interface] Rate = {RATE * PART:g}mbit", {})],
    [Column("share", "one's part", 3), Column("goodput", "Mbit/s", 2), Column("least", "least of ten", 2)],
    measure, lambda options: 4 + _WARM_UP + options.seconds)
