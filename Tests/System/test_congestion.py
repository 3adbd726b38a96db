"""One way out that is full: it is full for the peer behind it, and for nobody else."""

import contextlib
import socket
import threading

import pytest

from lab import Gateway, Lab, Namespace, Recorder, Site, wait_until
from lab.gateway import write_config
from lab.pace import Pace
from lab.site import PORT

# Of the pings none may be lost.
pytestmark = pytest.mark.few

SPARE = {4: ("203.0.113.1", "203.0.113.2", 24), 6: ("2001:db8:3::1", "2001:db8:3::2", 64)}
"""The hub's own wire to C."""
ADDRESSES = {"hub": "10.9.0.1", "b": "10.9.0.2", "c": "10.9.0.3"}
FLOOD = 30e6
MARK = 77
PINGS = 40


@pytest.fixture(params=[4, 6])
def star(request):
    with Star(request.param) as star:
        yield star


def test_a_peer_whose_way_is_full_takes_no_packet_from_another(star):
    with star.flood():
        star.wait_until_full()
        answered = star.pings()
        drops = star.hub.stats()["drops"]["send"]
    assert answered == PINGS, f"{PINGS - answered} of {PINGS} pings on an idle wire were lost"
    near, far = star.drops()
    assert near == 0 and far >= drops > 0, "what is dropped is the congested peer's"
    assert "queue full" in star.hub.ctl("stats", star.hub.name).stdout


def test_every_socket_follows_a_new_port_and_a_new_mark(star):
    lab, hub = star.lab, star.hub
    with star.flood():
        star.wait_until_full()
        assert star.ports() == {PORT}
        star.wg("listen-port", PORT + 1)
        star.shape()
        star.wait_until_full()
        assert star.ports() == {PORT + 1}
        assert star.pings() == PINGS
        lab.a.gateway.run("nft", "add table inet marked; add chain inet marked out { type filter hook output priority 0; }; "
                          f"add rule inet marked out udp dport {PORT} meta mark {MARK} drop")
        star.wg("fwmark", MARK)
        star.shape()
        wait_until(lambda: "Operation not permitted" in hub.log, "what is marked is not sent")
        sockets = star.sockets()
        assert len(sockets) >= 2 and all(f"fwmark:{MARK:#x}" in line for line in sockets)


class Star:
    """A hub, gateway A, with two peers: B behind 2 Mbit/s and a long queue, and C on an idle wire of its own."""

    def __init__(self, version):
        self.version = version

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.lab = lab = stack.enter_context(Lab(outer=self.version))
            namespace = stack.enter_context(Namespace(f"{lab.a.name[-2:]}-c"))
            near, far, length = SPARE[self.version]
            self.c = Site("c", lab.a.name[:-1] + "c", None, namespace, far)
            lab.a.gateway.run("ip", "link", "add", "spare", "type", "veth", "peer", "name", "wan", "netns", namespace.name)
            lab._address(lab.a.gateway, "spare", near, length)
            lab._address(namespace, "wan", far, length)
            self.shape()
            roles = [(lab.a, ADDRESSES["hub"], [(lab.b, ADDRESSES["b"]), (self.c, ADDRESSES["c"])]),
                     (lab.b, ADDRESSES["b"], [(lab.a, ADDRESSES["hub"])]),
                     (self.c, ADDRESSES["c"], [(lab.a, ADDRESSES["hub"])])]
            self.hub, *_ = [stack.enter_context(Gateway(lab, site, write_config(lab, site, text(site, address, peers))))
                            for site, address, peers in roles]
            for address in (ADDRESSES["b"], ADDRESSES["c"]):
                wait_until(lambda: self.ping(address, 1) == 1, f"{address} answers", timeout=15)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def shape(self):
        """Shapes B's wire, with an empty queue."""
        self.lab.a.gateway.run("tc", "qdisc", "delete", "dev", "wan", "root", check=False)
        self.lab.a.gateway.run("tc", "qdisc", "add", "dev", "wan", "root", "tbf",
                               "rate", "2mbit", "burst", "16kb", "limit", "20mb")

    def ping(self, address, count):
        said = self.lab.a.gateway.run("ping", "-n", "-q", "-c", count, "-i", "0.05", "-W", "1", address, check=False).stdout
        return int(said.split(" received")[0].split()[-1])

    def pings(self):
        """How many of `PINGS` pings C answers."""
        return self.ping(ADDRESSES["c"], PINGS)

    @contextlib.contextmanager
    def flood(self):
        """UDP to B, fifteen times what goes through."""
        ending = threading.Event()

        def send():
            pace = Pace(FLOOD / 8 / 1200)
            with self.lab.a.gateway.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                while not ending.is_set():
                    out.sendto(bytes(1200), (ADDRESSES["b"], 9))
                    pace.wait()

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()

    def wait_until_full(self):
        before = self.hub.stats()["drops"]["send"]
        wait_until(lambda: self.hub.stats()["drops"]["send"] > before, "the way to B is full", timeout=15)

    def ports(self):
        """The ports from which the next hundred datagrams to B come."""
        address, wan = self.lab.a.outer, self.lab.a.gateway
        with Recorder(wan, "wan") as wire:
            wait_until(lambda: len(wire.sent_by(address, 4)) > 100, "the flood goes on")
        return {datagram.source_port for datagram in wire.sent_by(address)}

    def drops(self):
        """Datagrams that found the way full: C's and B's."""
        full = {peer["publicKey"]: peer["drops"]["queueFull"] for peer in self.hub.stats()["peers"]}
        return full[self.c.keys.public], full[self.lab.b.keys.public]

    def wg(self, *words):
        self.lab.a.gateway.run("wg", "set", self.hub.name, *words)

    def sockets(self):
        """The hub's UDP sockets of this family, as `ss` shows them."""
        port = self.hub.stats()["listenPort"]
        lines = self.lab.a.gateway.run("ss", "-Hnuae", f"-{self.version}", "sport", "=", f":{port}").stdout
        return lines.splitlines()


def text(site, address, peers):
    """A config file."""
    lines = ["[Interface]", f"PrivateKey = {site.keys.private}", f"ListenPort = {PORT}", f"Address = {address}/32"]
    for peer, allowed in peers:
        lines += ["[Peer]", f"PublicKey = {peer.keys.public}", f"AllowedIPs = {allowed}/32", f"Endpoint = {peer.endpoint}"]
    return "\n".join(lines) + "\n"
