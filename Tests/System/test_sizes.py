"""Sizes that just work: whatever the path outside takes, and whoever says so, everything arrives inside."""

import pytest

from lab import Lab, WireGuardGo, link, payload, wait_until_path_known, wait_until_up
from lab.gateway import gateway
from lab.traffic import ask_echo, send_tcp, udp_echo

MEGABYTE = payload.random(1 << 20)
# Outer MTU, ICMP passed, fragments passed, inner MTU, IPv6 outside: each value beside each other one.
CELLS = [
    (1500, False, False, 1500, 4), (1500, True, True, 9000, 6), (1420, False, False, 9000, 4), (1420, True, False, 1420, 6),
    (1280, False, False, 1500, 6), (1280, True, True, 1420, 4), (1280, False, True, 9000, 4), (576, False, False, 1500, 4),
    (576, True, True, 9000, 4), (576, True, False, 1420, 4),
]


@pytest.mark.parametrize("outer, icmp, fragments, inner, family", CELLS)
def test_everything_arrives_between_gateways(outer, icmp, fragments, inner, family):
    with Lab(router=True, outer=family, lan_mtu=max(inner, 1500)) as lab:
        lab.router.narrow(outer)
        lab.router.drop(icmp=not icmp, fragments=not fragments)
        with link(lab, compression="auto", interface=(f"MTU = {inner}",)):
            send_tcp(lab.a.host, lab.b.host, lab.b.v4, MEGABYTE, timeout=20)
            send_tcp(lab.b.host, lab.a.host, lab.a.v6, MEGABYTE, timeout=20)
            with udp_echo(lab.b.host, lab.b.v4):
                for size in (1, 1200, 1472, 8000):
                    data = payload.random(size)
                    assert ask_echo(lab.a.host, (lab.b.v4, 7002), data) == data
            done = lab.a.host.run("ping", "-n", "-M", "do", "-c", 1, "-W", 2, "-s", inner - 28, lab.b.v4)
            assert " 0% packet loss" in done.stdout


@pytest.mark.parametrize("icmp", [True, False], ids=["icmp", "silent"])
def test_tcp_to_a_stock_peer_works_from_the_first_second_where_our_interface_takes_1280(icmp):
    with Lab(router=True, wire_mtu=1280) as lab:
        lab.router.narrow(1280)
        lab.router.drop(icmp=not icmp, fragments=True)
        with gateway(lab, lab.a) as ours, WireGuardGo(lab, lab.b):
            wait_until_up(lab, ours)
            send_tcp(lab.a.host, lab.b.host, lab.b.v4, MEGABYTE, timeout=10)
            send_tcp(lab.b.host, lab.a.host, lab.a.v4, MEGABYTE, timeout=10)


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
