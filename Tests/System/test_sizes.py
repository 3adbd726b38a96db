"""Sizes that just work: whatever the path outside takes, and whoever says so, everything arrives inside."""

import pytest

from lab import Lab, WireGuardGo, link, payload, wait_until_path_known, wait_until_up
from lab.gateway import gateway
from lab.sizes import Cell, Field, Ground, send_timed
from lab.traffic import send_tcp

MEGABYTE = payload.random(1 << 20)
TUN4, TUN6, TAP4, TAP6 = (Ground(family, device) for device in ("tun", "tap") for family in (4, 6))
# Each value beside each other one; all 168 of them: bench/sizes.py.
CELLS = [
    Cell(TUN4, 1500, False, False, 1500), Cell(TUN4, 1420, True, False, 9000), Cell(TUN4, 1280, True, True, 1420),
    Cell(TUN4, 576, False, False, 1500), Cell(TUN4, 576, True, True, 9000), Cell(TUN6, 1500, True, True, 9000),
    Cell(TUN6, 1420, True, False, 1420), Cell(TUN6, 1280, False, False, 1500), Cell(TAP4, 1500, False, True, 9000),
    Cell(TAP4, 1420, False, False, 1420), Cell(TAP4, 576, False, False, 1500), Cell(TAP6, 1280, True, False, 1500),
    Cell(TAP6, 1280, False, True, 9000),
]


@pytest.fixture(scope="module")
def field(request):
    with Field(request.param) as field:
        yield field


@pytest.mark.parametrize("field, cell", [(cell.ground, cell) for cell in CELLS], ids=map(str, CELLS), indirect=["field"])
def test_everything_arrives_between_gateways(field, cell):
    field.run(cell)


# It measures a second.
@pytest.mark.alone
@pytest.mark.parametrize("wire, icmp, fragments", [(1280, True, False), (1280, False, False), (1500, True, True)],
                         ids=["icmp", "silent", "router"])
def test_tcp_to_a_stock_peer_works_from_the_first_second_where_the_path_takes_1280(wire, icmp, fragments):
    """Our interface takes no more, and fragments get lost; or a router in the way does, and says so or cuts."""
    with Lab(router=True, wire_mtu=wire) as lab:
        lab.router.narrow(1280)
        lab.router.drop(icmp=not icmp, fragments=not fragments)
        with gateway(lab, lab.a), WireGuardGo(lab, lab.b):
            # They have not met.
            _, whole = send_timed(lab.a.host, lab.b.host, lab.b.v4, MEGABYTE)
            _, back = send_timed(lab.b.host, lab.a.host, lab.a.v4, MEGABYTE)
            # What it sends itself wireguard-go sends as large as ever, with DF, until ICMP has told its kernel.
            assert whole < 1 and (back < 1 or wire > 1280), (whole, back)


def test_a_host_is_told_what_fits_to_a_stock_peer():
    with Lab(wire_mtu=1280) as lab, gateway(lab, lab.a) as ours, WireGuardGo(lab, lab.b):
        wait_until_up(lab, ours)
        done = lab.a.host.run("ping", "-n", "-M", "do", "-c", 2, "-W", 1, "-s", 1240, lab.b.v4, check=False)
        assert "mtu=1220" in done.stdout + done.stderr or "mtu = 1220" in done.stdout + done.stderr
        assert ours.peer()["drops"]["tooBig"] >= 1
        done = lab.a.host.run("ping", "-n", "-M", "do", "-c", 1, "-W", 2, "-s", 1192, lab.b.v4)
        assert " 0% packet loss" in done.stdout


def test_full_packets_take_no_more_datagrams_than_their_bytes_need():
    counts = {}
    for inner in (1420, 1500):
        with Lab() as lab, link(lab, compression="auto", interface=(f"MTU = {inner}",)) as ends:
            wait_until_path_known(lab, *ends, mtu=1500)
            with lab.record() as wire:
                send_tcp(lab.a.host, lab.b.host, lab.b.v4, payload.random(16 << 20), timeout=30)
                wire.settle()
                counts[inner] = len([d for d in wire.sent_by(lab.a.outer, 4) if d.size > 500])
    assert counts[1500] <= counts[1420] * 1.02, counts
