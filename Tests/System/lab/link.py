"""Two of our gateways, started and talking."""

import contextlib

from .gateway import Gateway, gateway
from .waiting import wait_until


@contextlib.contextmanager
def link(lab, a=None, b=None, first="a", **both):
    """Runs a gateway at each site until the block ends; a, b, both: options of `gateway.config`.

    first: the site whose host speaks first, so that its gateway is the initiator.
    """
    with gateway(lab, lab.a, **both, **(a or {})) as one, gateway(lab, lab.b, **both, **(b or {})) as two:
        wait_until_up(lab, one, two, sender=getattr(lab, first))
        yield one, two


def wait_until_up(lab, *gateways, timeout=15, sender=None):
    """Waits until a ping goes from host to host and both ends know of the handshake."""
    sender = sender or lab.a
    wait_until(lambda: lab.ping(sender, lab.other(sender).v4), "a ping from host to host comes back", timeout)
    for one in gateways:
        if isinstance(one, Gateway):
            wait_until(one.has_handshake, f"{one.name} reports a handshake")


def wait_until_path_known(lab, *gateways, mtu=None, timeout=10):
    """Waits until all ends know what the path between them takes: `mtu`, if that is given. Until then they ask, and sizes change."""
    def is_known(end):
        path = end.peer().get("pathMTU") or {}
        return path.get("state") == "complete" and mtu in (None, path["mtu"])

    def know():
        if all(is_known(end) for end in gateways):
            return True
        lab.ping(lab.a, lab.b.v4)
        return False

    wait_until(know, f"all know what the path takes ({mtu or 'whatever it is'})", timeout)


def all_drops(stats):
    """Every drop counter of a daemon by its name, summed over the peers."""
    drops = dict(stats["drops"])
    for peer in stats["peers"]:
        for reason, count in peer["drops"].items():
            drops[reason] = drops.get(reason, 0) + count
    return drops
