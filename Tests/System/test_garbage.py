"""Whatever is thrown at its port: a gateway drops it, counts it by reason, and stays as it was."""

import socket

import pytest

from lab import Lab, all_drops, garbage, link, payload, wait_until
from lab.pace import Pace
from lab.site import PORT
from lab.traffic import send_tcp

pytestmark = pytest.mark.fast

MEGABYTE = 1 << 20
A_SECOND = 4000


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab, lab.record(whole=True) as wire, link(lab, first="b", compression="auto") as lab.gateways:
        # B is the initiator: its initiation and its data are real ones for A.
        wire.settle()
        lab.real = one_of_each_type(wire.datagrams, lab.b)
        yield lab


@pytest.fixture
def target(lab):
    """Gateway A: its drops and its life are checked around the test."""
    handshake = lab.gateways[0].peer()["latestHandshake"]
    yield lab.gateways[0]
    for one in lab.gateways:
        one.check_alive()
    assert lab.ping(lab.a, lab.b.v4, count=3), "the link did not survive"
    assert lab.gateways[0].peer()["latestHandshake"] >= handshake
    send_tcp(lab.b.host, lab.a.host, lab.a.v4, payload.text(MEGABYTE), timeout=30)


def test_random_datagrams_of_every_length_are_dropped_and_counted(lab, target):
    check_dropped_and_counted(lab, target, garbage.of_every_length(seed=1))


def test_real_datagrams_cut_and_flipped_are_dropped_and_counted(lab, target):
    check_dropped_and_counted(lab, target, garbage.from_real(lab.real.values(), seed=2))


def test_each_reason_has_its_own_counter(lab, target):
    initiation, transport = bytearray(lab.real[1]), bytearray(lab.real[4])
    initiation[20] ^= 1
    elsewhere = transport[:4] + b"\xff\xfe\xfd\xfc" + transport[8:]
    for reason, datagram in (("mac1", initiation), ("unknownIndex", elsewhere)):
        before = all_drops(target.stats())[reason]
        throw(lab, [bytes(datagram)] * 20)
        wait_until(lambda: all_drops(target.stats())[reason] >= before + 20, f"drops for {reason} are counted")


def test_a_datagram_heard_twice_is_a_replay(lab, target):
    with lab.record(whole=True) as wire:
        assert lab.ping(lab.b, lab.a.v4, count=2)
        wire.settle()
        heard = [d.data for d in wire.sent_by(lab.b.outer, 4)]
    before = target.peer()["drops"]["replay"]
    throw(lab, heard)
    wait_until(lambda: target.peer()["drops"]["replay"] >= before + len(heard), "replays are counted")
    assert target.peer()["endpoint"] == lab.b.endpoint, "a replay moved the peer's endpoint"


def test_an_old_initiation_gets_no_answer(lab, target):
    with lab.record() as wire:
        port = throw(lab, [lab.real[1]] * 10)
        wire.settle()
        assert answers(wire, lab, port) == []


def test_memory_does_not_grow(lab, target):
    everything = [*garbage.of_every_length(seed=3), *garbage.from_real(lab.real.values(), seed=4)]
    throw(lab, everything)
    warm = target.resident
    for _ in range(2):
        throw(lab, everything)
    assert target.resident - warm < 2e6


def check_dropped_and_counted(lab, target, datagrams):
    datagrams = list(datagrams)
    before = sum(all_drops(target.stats()).values())
    with lab.record() as wire:
        port = throw(lab, datagrams)
        wire.settle()
        largest, replies = max(map(len, datagrams)), answers(wire, lab, port)
    counted = sum(all_drops(target.stats()).values()) - before
    # A kernel under load may lose some before the gateway sees them.
    assert counted >= 0.95 * len(datagrams), f"{len(datagrams)} thrown, {counted} counted"
    assert counted <= len(datagrams) + 10
    # Only a cookie reply may come back: 64 bytes for a question of 148 or 92.
    assert all(reply.size <= 64 and reply.message_type == 3 for reply in replies), replies
    assert largest == garbage.LARGEST or len(replies) == 0


def throw(lab, datagrams):
    """Throws datagrams at gateway A from gateway B's namespace, another port; returns that port."""
    with lab.b.gateway.socket(socket.AF_INET, socket.SOCK_DGRAM) as thrower:
        thrower.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        thrower.bind(("0.0.0.0", 0))
        pace = Pace(A_SECOND)
        for datagram in datagrams:
            thrower.sendto(datagram, (lab.a.outer, PORT))
            pace.wait()
        return thrower.getsockname()[1]


def answers(wire, lab, port):
    return [d for d in wire.sent_by(lab.a.outer) if d.destination_port == port]


def one_of_each_type(datagrams, sender):
    """The sender's last initiation and last transport datagram, and the response that it got, by type."""
    found = {d.message_type: d.data for d in datagrams if d.source == sender.outer or d.message_type == 2}
    assert {1, 2, 4} <= set(found), f"recorded only the types {sorted(found)}"
    return found
