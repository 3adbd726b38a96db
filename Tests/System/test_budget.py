"""A peer of whose few bytes many packets, or many bytes, are made hurts itself and nobody else."""

import re
import socket
import statistics
import subprocess
import time

import pytest

from lab import Keys, Lab, wait_until
from lab.gateway import gateway
from lab.site import PORT
from lab.small_packets import stopped
from page import noise
from page.codecs import DEFLATE, ZSTD, zstandarded
from page.members import Member, encode
from page.met import units
from page.packets import ip, udp
from page.peer import Peer
from page.records import EVERYTHING, MEMBERS, Hello, unit

# It measures.
pytestmark = pytest.mark.alone

BAD, HOST = bytes([10, 77, 0, 2]), bytes([10, 1, 0, 2])
RATE = 2e6
HEADERS = 28
"""Of IP and UDP."""
NOTHING = 59
PINGS_FROM = bytes([10, 2, 0, 2])
ETH_P_IP, SO_RCVBUFFORCE = 0x0800, 33
PINGS, INTERVAL = 30, 0.05


def tiny():
    """128 packets of 20 bytes that nothing joins."""
    return units([ip(BAD, HOST, NOTHING, b"")] * 128, DEFLATE)


def large():
    """A packet that stands for 64 KB in many."""
    data = encode([Member(udp(BAD, HOST, bytes(64_000)), 1400)])
    return unit(data, zstandarded(data), parameter=ZSTD | MEMBERS)


@pytest.fixture(scope="module")
def hub():
    """Gateway A with two peers: the gateway at B, and somebody beside it who seals what he likes."""
    keys = Keys()
    section = f"\n[Peer]\n#: Name = bad\n#: Compression = receive\nPublicKey = {keys.public}\nAllowedIPs = 10.77.0.2/32\n"
    with Lab(ipv6=False) as lab, gateway(lab, lab.a, peer=(section,)) as lab.hub, gateway(lab, lab.b), \
            lab.b.gateway.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        wait_until(lambda: lab.ping(lab.b, lab.a.v4), "a ping from host to host comes back", timeout=15)
        bound.bind((lab.b.outer, PORT + 1))
        lab.bad = Peer(bound, noise.Keys.from_base64(keys.private, lab.a.keys.public), (lab.a.outer, PORT),
                       own=EVERYTHING)
        lab.bad.connect()
        lab.bad.run(lambda: lab.bad.heard(Hello), "the gateway's HELLO")
        lab.bad.listen(0.5)
        yield lab


def test_a_packet_that_waits_behind_another_peers_units_comes_before_all_but_the_first_of_them(hub):
    datagrams = [hub.bad.session.seal(padded(tiny())) for _ in range(8)]
    with hub.a.host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP)) as lan:
        lan.bind(("lan", ETH_P_IP))
        lan.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        lan.settimeout(10)
        with stopped(hub.hub):
            for datagram in datagrams:
                hub.bad.socket.sendto(datagram, hub.bad.gateway)
            before = queued(hub)
            hub.b.host.run("ping", "-q", "-n", "-c", 1, "-W", 0.1, hub.a.v4, check=False)
            wait_until(lambda: queued(hub) > before, "the ping waits behind the units")
        sources = [source_of(lan.recv(2000)) for _ in range(8 * 128 + 1)]
    assert sources.count(BAD) == 8 * 128
    assert sources.index(PINGS_FROM) < 3 * 128


@pytest.mark.parametrize("payload", [tiny, large])
def test_two_megabits_that_are_many_more_leave_another_peers_pings_as_they_were(hub, payload, record_property):
    alone = median(pings(hub))
    before = budget(hub)
    datagrams = sealed(hub.bad, payload(), PINGS * INTERVAL + 0.5)
    process = pings(hub)
    flood(hub.bad, datagrams)
    beside = median(process)
    figures = f"{payload.__name__}: median {alone:.2f} ms alone, {beside:.2f} ms beside it"
    print(figures)
    record_property("figures", figures)
    assert beside < alone + 30
    assert budget(hub) > before
    assert re.search("bad: dropped .* decodes to more than its budget", hub.hub.log)
    assert re.search(r"drops .*budget \d", hub.hub.ctl("stats").stdout)


def pings(hub):
    command = hub.b.host.command("ping", "-n", "-c", PINGS, "-i", INTERVAL, "-W", 2, hub.a.v4)
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def median(process):
    """Milliseconds; what did not come back took two seconds."""
    times = [float(found) for found in re.findall(r"time=([\d.]+) ms", process.stdout.read())]
    process.wait()
    return statistics.median(times + [2000] * (PINGS - len(times)))


def padded(payload):
    return payload + bytes(-len(payload) % 16)


def queued(hub):
    """What the gateway's sockets hold, as the kernel counts."""
    lines = hub.a.gateway.run("cat", "/proc/net/udp").stdout.splitlines()[1:]
    return sum(int(line.split()[4].split(":")[1], 16) for line in lines)


def source_of(packet):
    return packet[12:16]


def sealed(bad, payload, seconds):
    """So much of one payload as goes at the rate in this time."""
    payload = padded(payload)
    return [bad.session.seal(payload) for _ in range(int(RATE / 8 * seconds / (len(payload) + 32 + HEADERS)))]


def flood(bad, datagrams):
    """Sends datagrams at the rate."""
    start, sent = time.monotonic(), 0
    for datagram in datagrams:
        if (wait := start + sent * 8 / RATE - time.monotonic()) > 0:
            time.sleep(wait)
        bad.socket.sendto(datagram, bad.gateway)
        sent += len(datagram) + HEADERS


def budget(hub):
    (bad,) = [peer for peer in hub.hub.stats()["peers"] if peer.get("name") == "bad"]
    return bad["drops"].get("budget", 0)
