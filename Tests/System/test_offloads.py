"""Whatever batching is on or off, everything arrives byte for byte and with right checksums.

Between a host and its gateway the kernel normally leaves checksums out. Here they are real: the gateways' LAN side
computes them and cuts what the daemon merged, and the hosts verify them. Hosts still send super-segments.
"""

import contextlib
import json
import os
import socket
import struct

import pytest

from lab import Lab, WireGuardGo, all_drops, link, payload, wait_until
from lab.gateway import gateway
from lab.traffic import send_tcp

MEGABYTE = 1 << 20
ALL = ("tun-tso", "tun-gro", "udp-gso", "udp-gro")
SETTINGS = {"all": "auto", **{f"without {one}": " ".join(set(ALL) - {one}) for one in ALL}, "none": "off"}

_IPPROTO_UDP, _UDP_SEGMENT = 17, 103
_SO_RCVBUFFORCE = 33


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab, real_checksums(lab):
        yield lab


@pytest.fixture(scope="module")
def free_lab():
    """One in which no gateways run yet."""
    with Lab() as lab, real_checksums(lab):
        yield lab


@pytest.fixture(scope="module", params=[
    pytest.param(setting, id=name, marks=[pytest.mark.fast] * (name == "all")) for name, setting in SETTINGS.items()])
def pair(request, lab):
    with link(lab, interface=[f"Offload = {request.param}"]) as gateways:
        yield gateways


def test_the_hosts_notice_a_wrong_checksum(free_lab):
    lab = free_lab
    with link(lab), lab.a.host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        before = checksum_errors(lab)
        raw.sendto(struct.pack(">4H", 4000, 4000, 12, 0x1234) + b"text", (lab.b.v4, 0))
        wait_until(lambda: checksum_errors(lab) > before, "a datagram with a wrong checksum is counted as such")


@pytest.mark.parametrize("version", ["v4", "v6"])
def test_tcp_arrives_unchanged_both_ways(lab, pair, version):
    with calm(lab, pair):
        send_tcp(lab.a.host, lab.b.host, getattr(lab.b, version), payload.random(16 * MEGABYTE))
        send_tcp(lab.b.host, lab.a.host, getattr(lab.a, version), payload.random(16 * MEGABYTE))


@pytest.mark.parametrize("version", ["v4", "v6"])
def test_udp_trains_arrive_unchanged_and_in_order(lab, pair, version):
    most = 1420 - (28 if version == "v4" else 48)
    with calm(lab, pair):
        for sender, receiver in ((lab.a, lab.b), (lab.b, lab.a)):
            for size in (1, 15, 16, 17, 333, 1200, most - 1, most):
                for last in {1, size // 2, size - 1, size} - {0}:
                    check_train(sender.host, receiver.host, getattr(receiver, version), size, 40, last)


@pytest.mark.parametrize("mss", [88, 536, 1000])
@pytest.mark.parametrize("version", ["v4", "v6"])
def test_tcp_with_small_segments_arrives_unchanged(free_lab, version, mss):
    lab = free_lab
    with link(lab) as pair, calm(lab, pair):
        for sender, receiver in ((lab.a, lab.b), (lab.b, lab.a)):
            before = counter(sender.host, "TcpOutSegs")
            size = mss * 4000 + 1
            send_tcp(clamped(sender.host, mss), clamped(receiver.host, mss), getattr(receiver, version),
                     payload.random(size))
            assert counter(sender.host, "TcpOutSegs") - before >= size // mss


def test_tcp_whose_headers_have_extensions_arrives_unchanged():
    # On a path without surprises: the kernel's own TCP forgets its options when it learns a smaller MTU.
    with Lab(lan_mtu=1400) as lab, real_checksums(lab), link(lab) as pair, calm(lab, pair):
        for version in ("v4", "v6"):
            send_tcp(extended(lab.a.host), extended(lab.b.host), getattr(lab.b, version),
                     payload.random(16 * MEGABYTE), timeout=20)


def test_hosts_that_send_packets_one_by_one():
    with Lab(offloads=False) as lab, real_checksums(lab), link(lab) as pair, calm(lab, pair):
        for version in ("v4", "v6"):
            send_tcp(lab.a.host, lab.b.host, getattr(lab.b, version), payload.random(8 * MEGABYTE))
            send_tcp(lab.b.host, lab.a.host, getattr(lab.a, version), payload.random(8 * MEGABYTE))


def test_jumbo_frames_inside_and_outside():
    with Lab(lan_mtu=9000) as lab, real_checksums(lab):
        for site in lab.sites:
            site.gateway.run("ip", "link", "set", "wan", "mtu", 9000)
        with link(lab, interface=["MTU = 8920"]) as pair, calm(lab, pair):
            for version, headers in (("v4", 28), ("v6", 48)):
                before = counter(lab.a.host, "TcpOutSegs")
                send_tcp(lab.a.host, lab.b.host, getattr(lab.b, version), payload.random(32 * MEGABYTE))
                assert counter(lab.a.host, "TcpOutSegs") - before < 2 * 32 * MEGABYTE / 8800
                send_tcp(lab.b.host, lab.a.host, getattr(lab.a, version), payload.random(32 * MEGABYTE))
                for size in (8000, 8920 - headers):
                    check_train(lab.a.host, lab.b.host, getattr(lab.b, version), size, 7, 77)


def test_a_foreign_peer_at_full_speed(free_lab):
    lab = free_lab
    with gateway(lab, lab.a) as ours, WireGuardGo(lab, lab.b):
        wait_until(lambda: lab.ping(lab.a, lab.b.v4), "the first ping comes back", timeout=15)
        with calm(lab, [ours]):
            for version in ("v4", "v6"):
                send_tcp(lab.a.host, lab.b.host, getattr(lab.b, version), payload.random(32 * MEGABYTE))
                send_tcp(lab.b.host, lab.a.host, getattr(lab.a, version), payload.random(32 * MEGABYTE))
                for sender, receiver in ((lab.a, lab.b), (lab.b, lab.a)):
                    check_train(sender.host, receiver.host, getattr(receiver, version), 1200, 40, 77)


def check_train(sender, receiver, address, size, count, last, port=7004):
    """Sends a train with one call, `count` datagrams of `size` bytes and one of `last`, and receives just those."""
    data = os.urandom(size * count + last)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with receiver.socket(family, socket.SOCK_DGRAM) as into, sender.socket(family, socket.SOCK_DGRAM) as out:
        into.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
        into.bind((address, port))
        into.settimeout(2)
        out.sendmsg([data], [(_IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", size))], 0, (address, port))
        received = []
        with contextlib.suppress(TimeoutError):
            while len(received) <= count:
                received.append(into.recv(65_535))
    sent = [data[start:start + size] for start in range(0, len(data), size)]
    assert [len(one) for one in received] == [len(one) for one in sent]
    assert received == sent


@contextlib.contextmanager
def real_checksums(lab):
    """Checksums are worked out before the LAN and verified behind it, for as long as the lab stands."""
    for site in lab.sites:
        site.gateway.run("ethtool", "-K", "lan", "tx", "off", "rx", "off")
        site.host.run("ethtool", "-K", "lan", "rx", "off")
    yield


@contextlib.contextmanager
def calm(lab, gateways):
    """No host receives a wrong checksum meanwhile, and no daemon drops anything."""
    before = checksum_errors(lab)
    drops = [dropped(one) for one in gateways]
    yield
    assert checksum_errors(lab) == before
    for one, old in zip(gateways, drops):
        one.check_alive()
        assert {reason: count - old[reason] for reason, count in dropped(one).items() if count != old[reason]} == {}


def dropped(one):
    """What a daemon has dropped, but for the kernel's own multicast, which is for no peer, and what congestion cost."""
    return {reason: count for reason, count in all_drops(one.stats()).items()
            if reason not in ("noPeer", "multicast", "kernelReceive", "kernelTransmit")}


def checksum_errors(lab):
    return sum(count for site in lab.sites for space in (site.host, site.gateway)
               for name, count in counters(space).items() if "CsumErrors" in name)


def counter(namespace, name):
    return counters(namespace).get(name, 0)


def counters(namespace):
    return json.loads(namespace.run("nstat", "-aszj", "--noupdate").stdout)["kernel"]


def clamped(namespace, mss):
    return _WithOptions(namespace, (socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss))


def extended(namespace):
    """Destination options (RFC 8200 §4.6) on every IPv6 packet, no-operations (RFC 791 §3.1) on every IPv4 packet."""
    return _WithOptions(
        namespace, (socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0])),
        (socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([1, 1, 1, 0])))


class _WithOptions:
    """A namespace whose sockets have options."""

    def __init__(self, namespace, *options):
        self.namespace, self.options = namespace, options

    def socket(self, family, kind):
        made = self.namespace.socket(family, kind)
        for level, name, value in self.options:
            if level != (socket.IPPROTO_IP if family == socket.AF_INET6 else socket.IPPROTO_IPV6):
                made.setsockopt(level, name, value)
        return made
