"""The lab proves itself with wireguard-go on both sides: what fails here is not the gateway's fault."""

import socket
import subprocess
import sys

import pytest

from lab import Lab, WireGuardGo, payload, wait_until
from lab.traffic import ask_echo, send_tcp, stream_udp, udp_echo

MEGABYTE = 1 << 20


@pytest.fixture(scope="module", params=[4, 6], ids=["outer IPv4", "outer IPv6"])
def lab(request):
    with Lab(outer=request.param) as lab, WireGuardGo(lab, lab.a) as a, WireGuardGo(lab, lab.b) as b:
        lab.daemons = a, b
        wait_until(lambda: lab.ping(lab.a, lab.b.v4), "the first ping comes back")
        yield lab


def test_pings_travel_inside(lab):
    assert lab.ping(lab.a, lab.b.v4, count=3) and lab.ping(lab.b, lab.a.v6, count=3)


def test_tcp_arrives_unchanged_and_the_recorder_counts_what_wg_counts(lab):
    with lab.record() as wire:
        wire.settle()
        before = lab.daemons[0].transferred()
        for address in (lab.b.v4, lab.b.v6):
            send_tcp(lab.a.host, lab.b.host, address, payload.text(4 * MEGABYTE))
        wire.settle()
        after = lab.daemons[0].transferred()
    assert after[1] - before[1] == wire.bytes_sent_by(lab.a.outer)
    assert after[0] - before[0] == wire.bytes_sent_by(lab.b.outer)


def test_udp_of_every_size_comes_back(lab):
    with udp_echo(lab.b.host, lab.b.v4) as echo, udp_echo(lab.b.host, lab.b.v6) as echo6:
        for size in (0, 1, 1372, 1392, 1393, 1472, 8000):
            for target in (echo, echo6):
                data = payload.random(8000)[:size]
                assert ask_echo(lab.a.host, target, data) == data


def test_a_stream_arrives_in_order(lab):
    stream = stream_udp(lab.a.host, lab.b.host, lab.b.v4, payload.text(MEGABYTE), count=500)
    assert stream.damaged == 0 and stream.received == list(range(500))


@pytest.mark.few
def test_a_shaped_wire_carries_its_rate():
    with Lab(rate="20mbit", offloads=False) as lab, WireGuardGo(lab, lab.a), WireGuardGo(lab, lab.b):
        wait_until(lambda: lab.ping(lab.a, lab.b.v4), "the first ping comes back")
        transfer = send_tcp(lab.a.host, lab.b.host, lab.b.v4, payload.random(MEGABYTE), seconds=3)
    assert 15 < transfer.megabits < 20


def test_the_recorder_cuts_a_run_of_datagrams_where_the_sender_did():
    with Lab() as lab, lab.record(whole=True) as wire, \
            lab.a.gateway.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_UDP, 103, 1000)  # UDP_SEGMENT
        data = payload.random(8000)[:3500]
        sender.sendto(data, (lab.b.outer, 9))
        wait_until(lambda: len(wire.datagrams) >= 4, "the run is seen")
        assert [d.size for d in wire.datagrams] == [1000, 1000, 1000, 500]
        assert b"".join(d.data for d in wire.datagrams) == data


def test_a_killed_run_leaves_no_namespace():
    script = ("import time\nfrom lab import Lab, WireGuardGo\n"
              "with Lab() as lab, WireGuardGo(lab, lab.a):\n    print(flush=True)\n    time.sleep(60)")
    victim = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=__file__.rpartition("/")[0])
    victim.stdout.readline()
    assert f"gw{victim.pid}-" in _namespaces()
    victim.kill()
    victim.wait()
    wait_until(lambda: f"gw{victim.pid}-" not in _namespaces(), "the watchdog sweeps")


def _namespaces():
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
