"""A packet too big for the tunnel is never lost in silence: its sender learns the size that fits."""

import re
import socket

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


@pytest.mark.parametrize("version", ["v4", "v6"])
def test_tcp_agrees_on_segments_that_fit_before_anything_is_too_big(lab, version):
    most = 1420 - (40 if version == "v4" else 60)
    for sender, receiver in ((lab.a, lab.b), (lab.b, lab.a)):
        assert 0 < segment(sender, receiver, getattr(receiver, version)) <= most


def segment(sender, receiver, target):
    """The largest segment that a new connection between the hosts uses."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with receiver.host.socket(family, socket.SOCK_STREAM) as listener, \
            sender.host.socket(family, socket.SOCK_STREAM) as connection:
        listener.bind((target, 7005))
        listener.listen()
        connection.settimeout(5)
        connection.connect((target, 7005))
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
