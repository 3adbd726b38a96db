"""ARP and neighbour discovery are answered by the gateway that knows the answer, and no other site hears the question."""

import contextlib
import socket
import struct

from lab import wait_until
from lab.ethernet import Offices, config

_ALL = 3
ARP, IPV6 = 0x0806, 0x86DD


def test_a_hub_answers_its_sites_and_nobody_else_hears_the_question():
    with Offices(3) as lan, lan.tunnel(hub=lan[0], interface=["#: ARPProxy = on"]) as gateways:
        hub, near, far = lan
        for v6 in (False, True):
            # What the far host says goes by: its advertisement answers a question of the hub's own host.
            lan.wait_until_pinged(hub, far, v6=v6)
            before = answered(gateways)
            with questions(near.host) as own, questions(hub.host) as heard, questions(far.host) as asked:
                near.host.run("ip", "neigh", "flush", "dev", "lan")
                address = far.v6 if v6 else far.v4
                near.host.run("ping", "-n", "-c", 1, "-W", 2, address)
                entry = near.host.run("ip", "neigh", "show", address).stdout
                assert far.mac in entry
                assert [target for target in own() if target == address]
                assert address not in heard() + asked()
            assert answered(gateways) > before
        for gateway in gateways:
            gateway.check_alive()


def test_without_it_the_question_goes_to_all():
    with Offices(3) as lan, lan.tunnel(hub=lan[0]) as gateways:
        hub, near, far = lan
        lan.wait_until_pinged(hub, far)
        with questions(hub.host) as heard, questions(far.host) as asked:
            near.host.run("ip", "neigh", "flush", "dev", "lan")
            near.host.run("ping", "-n", "-c", 1, "-W", 2, far.v4)
            assert far.v4 in heard() and far.v4 in asked()
        assert all("answeredNeighbours" not in gateway.stats() for gateway in gateways)


def test_a_reload_switches_it():
    with Offices(2) as lan, lan.tunnel() as gateways:
        near, far = lan
        text = config(near, [far], interface=["#: ARPProxy = on"])
        gateways[0].config.write_text(text)
        gateways[0].ctl("reload", gateways[0].name)
        wait_until(lambda: "answeredNeighbours" in gateways[0].stats(), "the key holds")
        far.host.run("ip", "neigh", "flush", "dev", "lan")
        far.host.run("ping", "-n", "-c", 1, "-W", 2, near.v4)
        lan.wait_until_pinged(near, far)
        near.host.run("ip", "neigh", "flush", "dev", "lan")
        with questions(far.host) as asked:
            near.host.run("ping", "-n", "-c", 1, "-W", 2, far.v4)
            assert far.v4 not in asked()
        assert gateways[0].stats()["answeredNeighbours"] >= 1


def answered(gateways):
    return sum(gateway.stats()["answeredNeighbours"] for gateway in gateways)


@contextlib.contextmanager
def questions(namespace):
    """A function that says for which addresses a host has heard or asked questions that were for everybody."""
    with namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL)) as tap:
        tap.bind(("lan", _ALL))
        tap.setblocking(False)
        seen = []

        def read():
            with contextlib.suppress(BlockingIOError):
                while True:
                    frame = tap.recv(2048)
                    seen.extend(target(frame))
            return list(seen)

        yield read


def target(frame):
    """The address that a frame to a group asks for."""
    kind, = struct.unpack_from(">H", frame, 12)
    if not frame[0] & 1:
        return
    if kind == ARP and frame[21] == 1 and frame[28:32] not in (bytes(4), frame[38:42]):
        yield socket.inet_ntop(socket.AF_INET, frame[38:42])
    if kind == IPV6 and frame[20] == 58 and frame[54] == 135:
        yield socket.inet_ntop(socket.AF_INET6, frame[62:78])
