"""Floods of handshake messages: they cost no memory, end no session, and are never answered with more than they were."""

import pytest

from lab import Lab, link, payload, wait_until_up
from lab.flood import KINDS, Flooder, initiations
from lab.site import PORT
from lab.traffic import send_tcp

# It takes a processor to offer as much, and the kernel drops other tests' packets meanwhile.
pytestmark = pytest.mark.alone

COOKIE_REPLY = 64
HEADERS = 14 + 20 + 8
RATES = (50_000, 200_000)


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab, lab.record(whole=True) as wire, link(lab, first="b") as lab.gateways:
        wire.settle()
        lab.real = next(d.data for d in wire.datagrams if d.message_type == 1 and d.source == lab.b.outer)
        with Flooder(lab.a.gateway, PORT) as lab.flooder:
            yield lab


def flood(lab, kind, rate, seconds):
    return lab.flooder.start(initiations(kind, lab.a.keys.public, lab.real), rate, seconds)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_leaves_memory_and_sessions_as_they_were(lab, kind, rate, record_property):
    a, _ = lab.gateways
    flood(lab, kind, rate, 0.5).end()
    data = payload.text(1 << 20)
    alone = send_tcp(lab.b.host, lab.a.host, lab.a.v4, data, seconds=1.5).megabits
    handshake, before = a.peer()["latestHandshake"], a.resident
    flooding = flood(lab, kind, rate, 2)
    beside = send_tcp(lab.b.host, lab.a.host, lab.a.v4, data, seconds=1.5, timeout=30).megabits
    flooded = flooding.end()
    a.check_alive()
    assert lab.ping(lab.a, lab.b.v4, count=3)
    assert a.peer()["latestHandshake"] >= handshake
    assert a.resident - before < 4e6
    assert flooded.largest <= COOKIE_REPLY
    assert flooded.replies <= flooded.sent
    assert flooded.bytes_replied <= (COOKIE_REPLY + HEADERS) * (flooded.replies + 1)
    assert flooded.bytes_replied < flooded.bytes_sent
    figures = (f"{kind}: {flooded.rate:.0f} datagrams/s, {flooded.replies} replies to {flooded.sent}; "
               f"resident {before / 1e6:.1f} MB before, {a.resident / 1e6:.1f} after, peak {a.peak / 1e6:.1f}; "
               f"a session's {alone:.0f} Mbit/s before, {beside:.0f} during it")
    print(figures)
    record_property("figures", figures)


@pytest.mark.parametrize("kind", KINDS)
def test_a_peer_gets_its_handshake_through_a_flood(lab, kind):
    a, b = lab.gateways
    flooding = flood(lab, kind, RATES[0], 8)
    b.stop()
    b.start()
    wait_until_up(lab, a, b, sender=lab.b, timeout=7)
    assert flooding.process.poll() is None, "the flood was still on"
    flooding.cancel()
