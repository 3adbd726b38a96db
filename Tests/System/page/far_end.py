"""A daemon at A, and the Python end in the place of gateway B."""

import contextlib
import ipaddress
import socket
import subprocess
import threading

from lab.gateway import gateway
from lab.site import PORT, preshared_key

from .noise import Keys
from .peer import Peer
from .records import Hello
from .tap import Tap

ROLES = ["initiator", "responder"]


@contextlib.contextmanager
def far_end(lab, role="initiator", kind=gateway, behind=False, compression="deflate", interface=(), lines=(),
            **options):
    """The daemon and the Python end in that role; only the initiator knows where the other is.

    behind: True has the Python end forward for host B instead of answering pings. interface, lines: further ones of the gateway's
    configuration, of [Interface] and [Peer]. options: of `Peer`.
    """
    secret = preshared_key()
    settings = {"preshared": secret, "endpoint": role == "responder"}
    if kind is gateway:
        settings |= {"compression": compression, "interface": interface, "peer": lines}
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(kind(lab, lab.a, **settings))
        bound = stack.enter_context(lab.b.gateway.socket(socket.AF_INET, socket.SOCK_DGRAM))
        bound.bind((lab.b.outer, PORT))
        if behind:
            options["tap"] = stack.enter_context(_host_b(lab))
        keys = Keys.from_base64(lab.b.keys.private, lab.a.keys.public, secret)
        peer = Peer(bound, keys, (lab.a.outer, PORT) if role == "initiator" else None, **options)
        if role == "initiator":
            peer.connect()
        yield ours, peer


def meet(lab, peer):
    """Makes the session, and waits until both HELLOs have gone."""
    if peer.gateway is None:
        assert ping(lab, peer)
    peer.run(lambda: peer.heard(Hello), "the gateway's HELLO")
    peer.listen(0.5)


def hellos(peer):
    return [(e.sent, e.what.seen, e.what.asks) for e in peer.transcript if isinstance(e.what, Hello)]


def ping(lab, peer, *options, count=1):
    """Pings from host A to host B, for which the Python end answers."""
    command = lab.a.host.command("ping", "-q", "-n", "-c", count, "-W", 2, *options, lab.b.v4)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peer.run(lambda: process.poll() is not None, "ping to end", timeout=15 + count)
        return f" {count} received" in process.stdout.read()


def serve(peer, action, timeout=30):
    """Does something in the background, while the Python end does its part."""
    outcome = []

    def act():
        try:
            outcome.append(action())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    peer.run(lambda: not thread.is_alive(), "the traffic to end", timeout)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]


def bound_for(*prefixes):
    """Whether a packet's destination is in one of these."""
    networks = [ipaddress.ip_network(prefix) for prefix in prefixes]

    def check(packet):
        address = ipaddress.ip_address(packet[16:20] if packet[0] >> 4 == 4 else packet[24:40])
        return any(address in network for network in networks)

    return check


@contextlib.contextmanager
def _host_b(lab):
    """What host B sends to A's side. Its gateway leaves those packets to the Python end meanwhile."""
    networks = [prefix for prefix in lab.a.networks if lab.ipv6 or ":" not in prefix]
    neighbour = bytes.fromhex(lab.b.host.run("cat", "/sys/class/net/lan/address").stdout.strip().replace(":", ""))
    with contextlib.ExitStack() as stack:
        for prefix in networks:
            lab.b.gateway.run("ip", "route", "add", "blackhole", prefix)
            stack.callback(lab.b.gateway.run, "ip", "route", "delete", "blackhole", prefix)
        yield stack.enter_context(Tap(lab.b.gateway, "lan", False, neighbour, bound_for(*networks)))
