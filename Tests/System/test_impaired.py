"""The link with faults does what it is asked for and counts it; two gateways live with all of it."""

import contextlib
import random
import re
import socket
import struct
import subprocess
import time

import pytest

from lab import Lab, Link, Namespace, all_drops, impaired, link, payload, wait_until
from lab.traffic import send_tcp

MEGABYTE = 1 << 20
A, B = "192.0.2.1", "192.0.2.2"
ETHERNET_AND_IP = 14 + 28


@pytest.fixture(scope="module")
def namespaces():
    with Namespace("link-a") as a, Namespace("link-b") as b:
        for one in (a, b):
            # No other frames than those of the tests.
            one.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
        yield a, b


@pytest.mark.alone
def test_a_delay_is_that_of_each_way(namespaces):
    with wire(namespaces, delay=20) as one:
        said = namespaces[0].run("ping", "-q", "-n", "-c", 20, "-i", 0.05, B).stdout
        report = one.report()
    assert 40 <= float(re.search(r"= ([\d.]+)/", said)[1]) < 44
    for direction in report.values():
        assert direction.delivered["frames"] == 20
        assert direction.delay["p50"] == pytest.approx(20, rel=impaired.TOLERANCE)


@pytest.mark.alone
def test_the_delays_of_the_two_ways_may_differ(namespaces):
    with wire(namespaces, there={"delay": 30}, back={"delay": 10}) as one:
        namespaces[0].run("ping", "-q", "-n", "-c", 10, "-i", 0.05, B)
        report = one.report()
    assert report["there"].delay["p50"] == pytest.approx(30, rel=impaired.TOLERANCE)
    assert report["back"].delay["p50"] == pytest.approx(10, rel=impaired.TOLERANCE)


@pytest.mark.alone
def test_jitter_keeps_the_order(namespaces):
    with wire(namespaces, delay=10, jitter=8) as one:
        got = send(namespaces, one, 2000)
        report = one.report()["there"]
    assert got.numbers == list(range(2000))
    assert report.reordered["frames"] == 0
    assert report.delay["p99"] > 14


@pytest.mark.alone
def test_more_than_the_rate_waits_and_then_is_dropped(namespaces):
    with wire(namespaces, rate=20, queue=30) as one:
        got = send(namespaces, one, 4000, size=1400, a_second=3500)
        report = one.report()["there"]
    assert report.is_saturated
    assert report.backlog["rate"] == pytest.approx(20, rel=impaired.TOLERANCE)
    assert report.dropped["frames"] > 0
    assert report.queue["most"] <= 30
    assert len(got.numbers) == report.delivered["frames"] == report.sent["frames"]


@pytest.mark.alone
def test_a_queue_may_be_so_many_bytes(namespaces):
    with wire(namespaces, rate=10, bytes=15_000) as one:
        send(namespaces, one, 1000, size=1400, a_second=3500)
        report = one.report()["there"]
    assert report.dropped["frames"] > 0
    # 15,000 bytes take 12 ms at 10 Mbit/s.
    assert 10 < report.queue["most"] <= 12


@pytest.mark.alone
def test_losses_are_as_many_as_chance_allows(namespaces):
    with wire(namespaces, loss=5) as one:
        got = send(namespaces, one, 20_000)
        report = one.report()["there"]
    assert report.missed == 0 and report.offered["frames"] == 20_000
    assert len(got.numbers) == report.delivered["frames"] == 20_000 - report.lost["frames"]
    # The mean is 1000, the standard deviation 31.
    assert abs(report.lost["frames"] - 1000) < 4 * 31
    assert report.deviations() == []


@pytest.mark.alone
def test_losses_in_bursts_are_as_many_and_stand_together(namespaces):
    with wire(namespaces, loss=5, burst=10) as one:
        got = send(namespaces, one, 20_000)
        report = one.report()["there"]
    arrived = set(got.numbers)
    lost = [number for number in range(20_000) if number not in arrived]
    bursts = sum(number - 1 in arrived or number == 0 for number in lost)
    assert len(lost) == report.lost["frames"]
    assert 500 < len(lost) < 1500
    assert 7 < len(lost) / bursts < 14


@pytest.mark.alone
def test_what_is_doubled_reordered_and_corrupted_is_counted(namespaces):
    with wire(namespaces, duplicate=10, reorder=20, hold=3, corrupt=5) as one:
        got = send(namespaces, one, 10_000)
        report = one.report()["there"]
    assert len(got.numbers) + got.corrupted == report.delivered["frames"] == 10_000 + report.duplicated["frames"]
    assert got.corrupted == report.corrupted["frames"]
    assert abs(report.duplicated["frames"] - 1000) < 4 * 30
    assert abs(got.corrupted - 11_000 * 0.05) < 4 * 23
    # Held back is not yet overtaken: only the longest of these wait for the next frames.
    assert 0 < report.reordered["frames"] <= 2000 + 4 * 40
    assert got.numbers != sorted(got.numbers)


@pytest.mark.alone
def test_the_same_seed_does_the_same_to_the_same_frame(namespaces):
    def arrivals(seed):
        with wire(namespaces, seed=seed, loss=10, burst=3, duplicate=5, corrupt=5) as one:
            got = send(namespaces, one, 5000)
            assert one.report()["there"].missed == 0
        return sorted(got.numbers), got.corrupted

    first = arrivals(seed=7)
    assert arrivals(seed=7) == first
    assert arrivals(seed=8) != first


def test_it_carries_runs_as_single_datagrams(namespaces):
    with wire(namespaces) as one, namespaces[0].socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_UDP, 103, 1000)  # UDP_SEGMENT
        sender.sendto(bytes(3500), (B, 9))
        offered = {}

        def all_seen():
            for unit, number in one.report()["there"].offered.items():
                offered[unit] = offered.get(unit, 0) + number
            return offered["frames"] == 4

        wait_until(all_seen, "four datagrams are seen")
    assert offered["bytes"] == 3500 + 4 * ETHERNET_AND_IP


@pytest.mark.parametrize("faults, said", [
    ("loss=101", "link: loss: `101` is not a number from 0 to 100"),
    ("lost=1", "link: no fault is called `lost`"),
    ("loss", "link: `loss` is not NAME=NUMBER"),
    ("delay=1,jitter=2", "link: a jitter of 2 ms is more than the delay"),
    ("burst=0.5,loss=1", "link: a burst of 0.5 frames is less than one"),
])
def test_what_cannot_be_done_is_refused_in_one_line(faults, said):
    done = subprocess.run([impaired.program(), "--both", faults, "x:y", "x:z"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (64, said + "\n")


def test_a_report_that_is_off_by_more_than_a_tenth_says_so():
    asked = {"rate": 20, "delay": 20, "loss": 1, "burst": 0, "reorder": 0, "hold": 5, "jitter": 0}
    good = {"asked": asked, "seconds": 10, "backlog": {"seconds": 9, "rate": 19}, "delay": {"p50": 21}, "missed": 0,
            "offered": count(20_000), "dropped": count(0), "lost": count(210), "delivered": count(19_790)}
    assert impaired.Report(good).deviations() == []
    for off in ({"backlog": {"seconds": 9, "rate": 17}}, {"delay": {"p50": 23}}, {"lost": count(300)}, {"missed": 300}):
        assert len(impaired.Report(good | off).deviations()) == 1


def test_a_session_survives_losses_both_ways_from_its_first_message_on():
    with Lab(ipv6=False, faults={"loss": 5, "delay": 1}) as lab, \
            link(lab, compression="auto") as gateways, unharmed(lab, gateways):
        wait_until(lambda: all(one.peer()["compression"]["active"] for one in gateways),
                   "both HELLOs arrive in spite of the losses", timeout=30)
        send_both_ways(lab)
        report = lab.link.report()
        for direction in report.values():
            assert direction.lost["frames"] > 50 and direction.deviations() == []


@pytest.mark.alone
def test_everything_may_come_twice_and_in_any_order():
    with Lab(ipv6=False, faults={"duplicate": 100, "reorder": 100, "hold": 2}) as lab, \
            link(lab, compression="deflate") as gateways, unharmed(lab, gateways):
        send_both_ways(lab)
        drops, report = [all_drops(one.stats()) for one in gateways], lab.link.report()
        resent = [one.peer()["repair"]["resent"] for one in reversed(gateways)]
        assert all(direction.reordered["frames"] > 100 for direction in report.values())
        for dropped, direction, again in zip(drops, ("back", "there"), resent):
            # Handshake messages, ARP and what is still under way come twice as well, but are no replays.
            doubled = report[direction].duplicated["frames"]
            # What was only late may be asked for, and then comes again.
            assert again <= 0.02 * doubled
            assert 0.9 * doubled < dropped["replay"] <= doubled + again


def test_corrupted_datagrams_are_dropped_and_counted_as_what_they_are():
    with Lab(ipv6=False, faults={"corrupt": 3, "delay": 1}) as lab, \
            link(lab, compression="auto") as gateways, unharmed(lab, gateways):
        send_both_ways(lab)
        drops, report = [all_drops(one.stats()) for one in gateways], lab.link.report()
        for dropped, direction in zip(drops, ("back", "there")):
            noticed = sum(dropped[reason] for reason in ("authentication", "unknownIndex", "malformed", "mac1"))
            corrupted = report[direction].corrupted["frames"]
            assert corrupted > 20
            # A few are still under way.
            assert corrupted - 3 <= noticed <= corrupted, dropped


@contextlib.contextmanager
def wire(namespaces, **options):
    """A link between the two namespaces that carries nothing by itself, not even ARP."""
    with Link(*namespaces, **options) as one:
        for number, namespace in enumerate(namespaces, 1):
            namespace.run("ip", "address", "add", f"192.0.2.{number}/30", "dev", impaired.DEVICE)
            namespace.run("ip", "link", "set", impaired.DEVICE, "address", f"02:00:00:00:00:0{number}")
            namespace.run("ip", "neighbour", "replace", f"192.0.2.{3 - number}", "dev", impaired.DEVICE,
                          "lladdr", f"02:00:00:00:00:0{3 - number}")
        one.report()
        yield one


class Arrived:
    def __init__(self, datagrams):
        self.numbers = [struct.unpack(">I", data[:4])[0] for data in datagrams if is_whole(data)]
        self.corrupted = len(datagrams) - len(self.numbers)


def send(namespaces, one, count, size=200, a_second=20_000):
    """Sends numbered datagrams from a to b at a pace that the device can take, and returns those that arrived."""
    a, b = namespaces
    with b.socket(socket.AF_INET, socket.SOCK_DGRAM) as into, a.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        into.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        into.bind((B, 7000))
        into.settimeout(0.5)
        datagrams, start = [], time.monotonic()
        for number in range(count):
            out.sendto(datagram(number, size), (B, 7000))
            if (early := start + number / a_second - time.monotonic()) > 0.001:
                time.sleep(early)
        with contextlib.suppress(TimeoutError):
            while True:
                datagrams.append(into.recv(2000))
    return Arrived(datagrams)


def datagram(number, size):
    """Its bytes follow from its number, but not so that they look alike."""
    head = struct.pack(">I", number)
    return head + random.Random(number).randbytes(size - 4)


def is_whole(data):
    return data == datagram(struct.unpack(">I", data[:4])[0], len(data))


@contextlib.contextmanager
def unharmed(lab, gateways):
    """Fails unless, at the end of the block, both daemons are alive and in the session that they had."""
    before = [one.peer()["latestHandshake"] for one in gateways]
    yield
    for one in gateways:
        one.check_alive()
    wait_until(lambda: lab.ping(lab.a, lab.b.v4), "the link still carries pings")
    assert [one.peer()["latestHandshake"] for one in gateways] == before, "the session did not survive"


def send_both_ways(lab):
    for data in (payload.text(2 * MEGABYTE), payload.random(MEGABYTE)):
        send_tcp(lab.a.host, lab.b.host, lab.b.v4, data)
        send_tcp(lab.b.host, lab.a.host, lab.a.v4, data)


def count(frames):
    return {"frames": frames, "bytes": frames * 1000}
