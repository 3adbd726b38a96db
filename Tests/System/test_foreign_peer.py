"""To any WireGuard peer a gateway is one more WireGuard endpoint: here Debian's wireguard-go and the real wg."""

import contextlib
import re

import pytest

from lab import Lab, WireGuardGo, payload, wait_until
from lab.gateway import gateway
from lab.site import preshared_key
from lab.traffic import ask_echo, send_tcp, udp_echo

HUNDRED_MEGABYTES = 100_000_000


@pytest.fixture(scope="module", params=[4, 6], ids=["outer IPv4", "outer IPv6"])
def lab(request):
    with Lab(outer=request.param) as lab:
        yield lab


@pytest.fixture(scope="module")
def lab4():
    with Lab() as lab:
        yield lab


@pytest.mark.slow
@pytest.mark.parametrize("preshared", [False, True], ids=["no preshared key", "preshared key"])
@pytest.mark.parametrize("initiator", ["gateway", "wireguard-go"])
def test_a_stock_config_exchanges_100_megabytes_each_way(lab4, initiator, preshared):
    with peers(lab4, initiator, preshared_key() if preshared else None) as (ours, theirs):
        exchange(lab4, HUNDRED_MEGABYTES)
        check_calm(ours, theirs)


@pytest.mark.fast
@pytest.mark.parametrize("initiator", ["gateway", "wireguard-go"])
def test_asking_for_compression_disturbs_no_stock_peer(lab4, initiator):
    with peers(lab4, initiator, compression="auto") as (ours, theirs):
        exchange(lab4, 10_000_000)
        assert ours.peer()["compression"]["active"] is False
        check_calm(ours, theirs)


@pytest.mark.fast
def test_every_inner_protocol_passes(lab):
    with peers(lab, "gateway", preshared_key()) as (ours, theirs):
        for address in (lab.b.v4, lab.b.v6):
            assert lab.ping(lab.a, address, count=3)
            send_tcp(lab.a.host, lab.b.host, address, payload.text(4 << 20))
            with udp_echo(lab.b.host, address) as echo:
                for size in (0, 1, 1372, 1392, 1393, 8000):
                    data = payload.random(8000)[:size]
                    assert ask_echo(lab.a.host, echo, data) == data
        check_calm(ours, theirs)


@pytest.mark.fast
def test_a_wrong_preshared_key_gives_no_link_and_says_why(lab4):
    with gateway(lab4, lab4.a, preshared=preshared_key()) as ours, WireGuardGo(lab4, lab4.b, preshared=preshared_key()):
        for _ in range(3):
            assert not lab4.ping(lab4.a, lab4.b.v4)
        assert not ours.has_handshake()
        wait_until(lambda: "handshake" in ours.log.lower(), "the log speaks of the handshake that failed", timeout=15)


@contextlib.contextmanager
def peers(lab, initiator, preshared=None, compression=None):
    """Our gateway at A and wireguard-go at B; only the initiator knows where the other is."""
    with gateway(lab, lab.a, preshared=preshared, compression=compression,
                 endpoint=initiator == "gateway") as ours, \
            WireGuardGo(lab, lab.b, preshared=preshared, endpoint=initiator == "wireguard-go") as theirs:
        sender, address = (lab.a, lab.b.v4) if initiator == "gateway" else (lab.b, lab.a.v4)
        wait_until(lambda: lab.ping(sender, address), "the first ping comes back", timeout=15)
        yield ours, theirs


def exchange(lab, size):
    data = payload.random(size)
    send_tcp(lab.a.host, lab.b.host, lab.b.v4, data)
    send_tcp(lab.b.host, lab.a.host, lab.a.v4, data)


def check_calm(ours, theirs):
    ours.check_alive()
    theirs.check_alive()
    assert theirs.has_handshake() and ours.has_handshake()
    drops = ours.peer()["drops"]
    assert drops["malformed"] == 0 and drops["allowedIPs"] == 0
    alarm = re.search(r"(?im)^.*\b(error|fatal|panic|invalid|malformed|refused|failed)\b.*$", ours.log)
    assert not alarm, f"the log says: {alarm.group(0)}"
