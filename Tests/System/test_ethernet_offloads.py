"""Whatever batching each end has on or off, frames arrive byte for byte, with right checksums, and in their order.

As in `test_offloads` the checksums between hosts and gateways are real, and hosts send super-segments.
"""

import contextlib
import socket
import struct
import threading

import pytest

from lab import payload
from lab.ethernet import Offices, config
from lab.frames import Port, ethernet, some
from lab.traffic import send_tcp
from page.members import cut
from page.packets import TCP, header, internet_sum, tcp, udp
from test_offloads import calm, check_train, real_checksums

MEGABYTE = 1 << 20
SETTINGS = {"all": "auto", "none": "off", "no super-frames in": "tun-gro udp-gso udp-gro",
            "no super-frames out": "tun-tso udp-gso udp-gro"}


@pytest.fixture(scope="module")
def lan():
    with Offices(2) as lan, real_checksums(lan):
        yield lan


@pytest.mark.parametrize("far", SETTINGS)
@pytest.mark.parametrize("near", SETTINGS)
def test_whatever_the_ends_have_on_or_off_everything_arrives(lan, near, far):
    with joined(lan, (SETTINGS[near], SETTINGS[far])) as gateways, calm(lan, gateways):
        check_tcp(lan, 3 * MEGABYTE)
        check_udp(lan, 1472)
        check_vlan(lan)


@pytest.mark.parametrize("compression", ["auto", "zstd"])
def test_so_it_does_compressed(lan, compression):
    with joined(lan, ("auto", "auto"), compression=compression) as gateways, calm(lan, gateways):
        for sender, receiver in (lan.sites, reversed(lan.sites)):
            for data in (payload.text(4 * MEGABYTE), payload.random(4 * MEGABYTE)):
                for address in (receiver.v4, receiver.v6):
                    send_tcp(sender.host, receiver.host, address, data)
        check_udp(lan, 1472)
        check_vlan(lan)


def test_so_it_does_through_a_hub():
    with Offices(3) as lan, real_checksums(lan):
        hub, near, far = lan
        for settings in (("auto", "auto", "auto"), ("off", "auto", "auto"), ("auto", "off", "auto"), ("auto", "auto", "off")):
            with joined(lan, settings, hub=hub) as gateways, calm(lan, gateways):
                check_tcp(lan, 3 * MEGABYTE, near, far)
                check_udp(lan, 1472, near, far)
                check_vlan(lan, near, far)


def test_jumbo_frames():
    with Offices(2, lan_mtu=9000) as lan, real_checksums(lan):
        for settings in (("auto", "auto"), ("auto", "off"), ("off", "auto")):
            with joined(lan, settings, interface=["MTU = 9000"]) as gateways, calm(lan, gateways):
                check_tcp(lan, 8 * MEGABYTE)
                check_udp(lan, 8972)
                assert lan.ping(lan[0], lan[1], "-M", "do", "-s", 8972)


# Beside others the gateway may be late, and the kernel's queue in front of it full.
@pytest.mark.alone
@pytest.mark.parametrize("settings", [("auto", "auto"), ("auto", "off"), ("off", "auto")], ids=" ".join)
def test_frames_that_are_no_ip_keep_their_order_beside_tcp(lan, settings):
    near, far = lan
    frames = some(600, far.mac, near.mac)
    # Behind them shorter ones than a wire has.
    runts = [ethernet(far.mac, near.mac, bytes(size)) for size in (0, 1, 45, 46)]
    with joined(lan, settings) as gateways, calm(lan, gateways):
        stream = threading.Thread(
            target=send_tcp, args=(near.host, far.host, far.v4, payload.random(24 * MEGABYTE)), kwargs={"timeout": 60})
        with Port(far.host) as receiver, Port(near.host) as sender:
            stream.start()
            sender.send(frames + runts, a_second=2000)
            received = receiver.receive(near.mac, seconds=2)
        stream.join()
        assert all(frame in frames + runts for frame in received) and set(runts) & set(received)
        places = [frames.index(frame) for frame in received if frame in frames]
        # An end without offloads takes in less than the stream brings: the kernel drops what finds no room in front of it.
        assert len(frames) * 0.9 <= len(set(places)) == len(places)
        for kind in range(3):
            of_kind = [place for place in places if place % 3 == kind]
            assert of_kind == sorted(of_kind), "the order within a kind has changed"


# What the tests have in common.


@contextlib.contextmanager
def joined(lan, settings, hub=None, compression=None, interface=()):
    """Runs a gateway at each office, each with its own `Offload`; with `hub`, an office, it is the only peer of the others."""
    with contextlib.ExitStack() as stack:
        gateways = []
        for site, offload in zip(lan.sites, settings):
            others = [other for other in lan.sites if other is not site]
            peers = others if hub in (None, site) else [hub]
            lines = [f"#: Offload = {offload}", *interface, *(["#: Hub = true"] if site is hub else [])]
            gateways.append(stack.enter_context(
                lan.gateway(site, config(site, peers, compression=compression, interface=lines))))
        ends = [site for site in lan.sites if site is not hub]
        for one, other in (ends, reversed(ends)):
            lan.wait_until_pinged(one, other)
            lan.wait_until_pinged(one, other, v6=True)
        yield gateways


def check_tcp(lan, size, near=None, far=None):
    for sender, receiver in both_ways(lan, near, far):
        for address in (receiver.v4, receiver.v6):
            send_tcp(sender.host, receiver.host, address, payload.random(size))


def check_udp(lan, most, near=None, far=None):
    for sender, receiver in both_ways(lan, near, far):
        for address, headers in ((receiver.v4, 0), (receiver.v6, 20)):
            for size in (1, 333, most - headers):
                for last in {1, size}:
                    check_train(sender.host, receiver.host, address, size, min(40, 60_000 // size), last)


def check_vlan(lan, near=None, far=None):
    """Super-frames with VLAN tags, from raw sockets: not every kernel has interfaces for VLANs."""
    for sender, receiver in both_ways(lan, near, far):
        for packet, segment in _super_segments(sender, receiver):
            frames = [ethernet(receiver.mac, sender.mac, one, kind=_kind(one), vlan=7) for one in cut(packet, segment)]
            with Port(receiver.host) as port, super_sender(sender.host) as out:
                out.send(_virtio(packet, segment, 18) + ethernet(receiver.mac, sender.mac, _begun(packet), kind=_kind(packet), vlan=7))
                assert tagged(port, len(frames)) == frames


def _super_segments(sender, receiver):
    for four in (True, False):
        family = socket.AF_INET if four else socket.AF_INET6
        source, destination = (socket.inet_pton(family, site.v4 if four else site.v6) for site in (sender, receiver))
        for make in (tcp, udp):
            yield make(source, destination, payload.random(20_001)), 1400


def _kind(packet):
    return 0x0800 if packet[0] >> 4 == 4 else 0x86DD


def _virtio(packet, segment, before):
    """The header of a super-segment that stands behind so many bytes, whose sums the kernel goes on from."""
    head = header(packet)
    kind = {(4, TCP): 1, (6, TCP): 4}.get((head.version, head.protocol), 5)
    return struct.pack("=BBHHHH", 1, kind, before + head.size, segment, before + head.ip, head.sums[-1] - head.ip)


def _begun(packet):
    """The packet with the sum of its pseudo-header in the place of its checksum."""
    head = header(packet)
    addresses = packet[12:20] if head.version == 4 else packet[8:40]
    begun = bytearray(packet)
    value = internet_sum(addresses + struct.pack(">II", len(packet) - head.ip, head.protocol))
    struct.pack_into(">H", begun, head.sums[-1], 0xFFFF - value)
    return bytes(begun)


@contextlib.contextmanager
def super_sender(namespace):
    """A raw socket whose frames have a virtio header."""
    with namespace.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.setsockopt(263, 15, 1)
        out.bind(("lan", 0))
        yield out


def tagged(port, count, vlan=7):
    """The frames of a VLAN that a port receives, as many as are asked for or come within two seconds."""
    frames = []
    port.socket.settimeout(2)
    with contextlib.suppress(TimeoutError):
        while len(frames) < count:
            data, auxiliary, _, sender = port.socket.recvmsg(70_000, 64)
            frame = port.whole(data, auxiliary)
            if sender[2] != 4 and frame[12:16] == struct.pack(">HH", 0x8100, vlan):
                frames.append(frame)
    return frames


def both_ways(lan, near, far):
    ends = (near or lan[0], far or lan[1])
    return (ends, ends[::-1])

