"""A packet too big for the tunnel is never lost in silence: its sender learns the size that fits."""

import re

import pytest

from lab import Lab, link, payload, wait_until
from lab.traffic import send_tcp

pytestmark = pytest.mark.fast


@pytest.fixture(scope="module")
def lab():
    with Lab(lan_mtu=9000) as lab, link(lab, compression="auto"):
        yield lab


@pytest.mark.parametrize("version", ["v4", "v6"])
def test_a_packet_too_big_for_the_tunnel_tells_the_host(lab, version):
    target = getattr(lab.b, version)
    said = wait_until(lambda: too_big(lab, target), "Packet Too Big reaches the host")
    assert int(said) == 1420


@pytest.mark.parametrize("version", ["v4", "v6"])
def test_the_largest_packet_of_the_tunnel_passes_undivided(lab, version):
    size = 1420 - (28 if version == "v4" else 48)
    done = lab.a.host.run("ping", "-n", "-M", "do", "-c", 1, "-W", 2, "-s", size, getattr(lab.b, version))
    assert " 0% packet loss" in done.stdout


@pytest.mark.parametrize("version", ["v4", "v6"])
def test_tcp_between_jumbo_hosts_finds_the_path_mtu(lab, version):
    data = payload.random(8 << 20)
    send_tcp(lab.a.host, lab.b.host, getattr(lab.b, version), data, timeout=30)
    send_tcp(lab.b.host, lab.a.host, getattr(lab.a, version), data, timeout=30)


def too_big(lab, target):
    """The MTU that a host learns from one ping of 8,000 bytes that must not be divided."""
    done = lab.a.host.run("ping", "-n", "-M", "do", "-c", 1, "-W", 1, "-s", 8000, target, check=False)
    found = re.search(r"mtu ?= ?(\d+)", done.stdout + done.stderr)
    return found and found.group(1)
