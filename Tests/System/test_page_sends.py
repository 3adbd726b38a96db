"""What the gateway sends to an end that announces records: read by an end that is written from docs/protocol.md alone,
and compared byte for byte with what the kernel gave to the device.
"""

import contextlib
import random
import socket
import struct
import time
from collections import Counter

import pytest

from lab import Lab, all_drops, payload
from lab.small_packets import stopped
from lab.traffic import send_tcp
from page.codecs import DEFLATE, ZSTD
from page.far_end import bound_for, far_end, hellos, meet, ROLES, serve
from page.packets import ecn
from page.records import (
    BUNDLE, EVERYTHING, FRAGMENT, MEMBERS, PING, REPORT, Bundle, Fragment, Hello, Ping, Report, Unit, padded)
from page.tap import Tap
from page.wrong import Malformed

MEGABYTE = 1 << 20
MTU = 1420
LARGEST = MTU + 32  # a datagram with a payload of the tunnel's MTU
AROUND = 32
"""Bytes of a transport message around its payload."""
HEADERS = 28
"""Bytes of IPv4 and UDP around a datagram."""
NEVER = Hello(frozenset())
ANNOUNCED = {
    "no HELLO": None,
    "nothing": NEVER,
    "codecs alone": Hello(frozenset([DEFLATE, ZSTD])),
    "bundles alone": NEVER._replace(records=frozenset([BUNDLE])),
    "bundles and deflate": Hello(frozenset([DEFLATE]), records=frozenset([BUNDLE])),
    "fragments and deflate, no bundles": Hello(frozenset([DEFLATE]), records=frozenset([FRAGMENT])),
    "bundles, fragments and deflate": Hello(frozenset([DEFLATE]), records=frozenset([BUNDLE, FRAGMENT])),
    "bundles, fragments and zstd": Hello(frozenset([ZSTD]), records=frozenset([BUNDLE, FRAGMENT])),
    "all, units of 3,000 bytes": EVERYTHING._replace(maximum_unit=3000),
    "all": EVERYTHING,
}
_IPPROTO_UDP, _UDP_SEGMENT = 17, 103


@pytest.fixture(scope="module")
def lab():
    with Lab(lan_mtu=1400) as lab:
        yield lab


@pytest.mark.parametrize("compression", ["deflate", "auto"])
@pytest.mark.parametrize("announced", ANNOUNCED)
def test_what_is_sent_is_what_was_announced_and_holds_what_the_kernel_gave(lab, announced, compression):
    own = ANNOUNCED[announced]
    with watched(lab, own=own or EVERYTHING, greets=own is not None, compression=compression) as (ours, peer, device):
        since = len(peer.transcript)
        for version in ("v4", "v6"):
            serve(peer, lambda: flurry(lab, version, 40))
            serve(peer, lambda: trains(lab, version, payload.text(MEGABYTE)))
            serve(peer, lambda: trains(lab, version, payload.random(MEGABYTE)))
        check_same(ours, device, peer, since)
        heard = [entry for entry in peer.transcript[since:] if not entry.sent]
        print(Counter(type(entry.what).__name__ for entry in heard))
        check_kinds(heard, own or NEVER)
        check_rules(heard)
        dropped = {reason for reason, count in all_drops(ours.stats()).items() if count}
        assert dropped <= {"noPeer", "multicast", "kernelTransmit"}


@pytest.mark.fast
@pytest.mark.parametrize("version", ["v4", "v6"])
@pytest.mark.parametrize("own, codec", [
    (EVERYTHING, None), (EVERYTHING._replace(codecs=frozenset([DEFLATE])), DEFLATE),
    (EVERYTHING._replace(codecs=frozenset([ZSTD])), ZSTD)], ids=["all", "deflate", "zstd"])
def test_tcp_of_text_arrives_both_ways_through_the_python_end(lab, version, own, codec):
    text = payload.text(2 * MEGABYTE)
    compression = "deflate" if codec == DEFLATE else "auto"
    with watched(lab, own=own, behind=True, compression=compression) as (ours, peer, device):
        since = len(peer.transcript)
        serve(peer, lambda: send_tcp(lab.a.host, lab.b.host, getattr(lab.b, version), text), 60)
        to_b = len(peer.transcript)
        serve(peer, lambda: send_tcp(lab.b.host, lab.a.host, getattr(lab.a, version), text), 60)
        check_same(ours, device, peer, since)
        heard = [entry for entry in peer.transcript[since:] if not entry.sent]
        check_kinds(heard, own)
        check_rules(heard)
        sent = [entry for entry in peer.transcript[since:] if entry.sent]
        print("heard", Counter(type(entry.what).__name__ for entry in heard))
        print("sent", Counter(type(entry.what).__name__ for entry in sent))
        units = [entry.what for entry in peer.heard(Unit, since)]
        assert any(one.parameter & MEMBERS and len(one.packets) > 1 for one in units)
        assert any(isinstance(entry.what, Fragment) for entry in heard)
        if codec:
            assert {one.parameter & 15 for one in units} == {codec}
        if compression != "auto":
            assert sum(entry.size for entry in peer.transcript[since:to_b] if not entry.sent) < len(text) / 2
        check_pings(peer, since)
        check_reports(peer, since)


@pytest.mark.fast
@pytest.mark.parametrize("role", ROLES)
def test_small_packets_of_many_flows_travel_in_bundles(lab, role):
    with watched(lab, role=role, own=EVERYTHING) as (ours, peer, device):
        since = len(peer.transcript)
        for number in range(1, 6):
            # The gateway finds them at once, whoever has the processor.
            with stopped(ours):
                flurry(lab, "v4", 100)
            peer.run(lambda: len(peer.packets(since)) >= 100 * number, "all of them to arrive")
        check_same(ours, device, peer, since)
        bundles = peer.heard(Bundle, since)
        print(Counter(len(entry.what.packets) for entry in bundles))
        assert bundles and any(len({packet[20:22] for packet in entry.what.packets}) > 1 for entry in bundles)


def test_text_in_trains_travels_in_units_of_members_and_in_fragments(lab):
    with watched(lab, own=EVERYTHING) as (ours, peer, device):
        since = len(peer.transcript)
        serve(peer, lambda: trains(lab, "v4", payload.text(4 * MEGABYTE)))
        check_same(ours, device, peer, since)
        units = peer.heard(Unit, since)
        print(Counter((hex(e.what.parameter), len(e.what.packets)) for e in units))
        assert any(entry.what.parameter & MEMBERS for entry in units) and peer.heard(Fragment, since)


def test_a_peer_that_comes_back_without_a_hello_gets_plain_packets_only(lab):
    with watched(lab, own=EVERYTHING) as (ours, peer, device):
        serve(peer, lambda: trains(lab, "v4", payload.text(MEGABYTE)))
        peer.settle()
        device.read()
        assert peer.heard(Unit)
        peer.greets, since = False, len(peer.transcript)
        peer.connect()
        peer.settle()
        serve(peer, lambda: trains(lab, "v4", payload.text(MEGABYTE)))
        serve(peer, lambda: flurry(lab, "v4", 100))
        check_same(ours, device, peer, since)
        check_kinds([entry for entry in peer.transcript[since:] if not entry.sent], NEVER)


@pytest.mark.fast
def test_records_are_padded_to_a_multiple_of_sixteen_or_to_the_mtu(lab):
    with watched(lab, own=EVERYTHING) as (_, peer, _):
        serve(peer, lambda: flurry(lab, "v4", 100))
        serve(peer, lambda: trains(lab, "v4", payload.text(4 * MEGABYTE)))
        peer.settle()
        records = [entry for entry in peer.heard((Hello, Unit, Bundle, Fragment, Report, Ping)) if entry.size]
        odd = [entry for entry in records if entry.size % 16 and entry.size != LARGEST]
        assert not Counter((type(entry.what).__name__, entry.size) for entry in odd)


def test_the_numbers_of_fragments_begin_anew_with_each_session(lab):
    with watched(lab, own=EVERYTHING) as (_, peer, _):
        for _ in range(2):
            since = len(peer.transcript)
            serve(peer, lambda: trains(lab, "v4", payload.text(4 * MEGABYTE)))
            peer.settle()
            numbers = [entry.what.number for entry in peer.heard(Fragment, since)]
            assert numbers == sorted(numbers) and set(numbers) == set(range(len(set(numbers))))
            peer.connect()
            peer.settle()


@pytest.mark.parametrize("bits", range(4))
def test_the_ecn_bits_inside_are_those_outside_and_never_mixed(lab, bits):
    with watched(lab, own=EVERYTHING) as (ours, peer, device):
        since = len(peer.transcript)
        serve(peer, lambda: flurry(lab, "v4", 60, (bits, 0)))
        serve(peer, lambda: trains(lab, "v4", payload.text(MEGABYTE), bits))
        given = check_same(ours, device, peer, since)
        assert {ecn(packet) for packet in given} == {bits, 0}
        check_rules([entry for entry in peer.transcript[since:] if not entry.sent])


# The seconds between them and their round trips are measured.
@pytest.mark.few
@pytest.mark.slow
def test_pings_are_asked_once_a_second_at_most_and_only_beside_data(lab):
    with watched(lab, own=EVERYTHING) as (ours, peer, _):
        since, end = len(peer.transcript), time.monotonic() + 6
        while time.monotonic() < end:
            serve(peer, lambda: trains(lab, "v4", payload.random(MEGABYTE)[:120_000]))
            peer.listen(0.1)
        questions = check_pings(peer, since)
        assert len(questions) >= 2
        peer.listen(1.5)
        since = len(peer.transcript)
        peer.listen(3)
        assert not peer.heard(Ping, since)
        assert 0 < ours.peer()["rttMicroseconds"] < 200_000


def test_without_an_answer_to_pings_and_without_reports_all_goes_on(lab):
    with watched(lab, own=EVERYTHING) as (ours, peer, device):
        peer.own = EVERYTHING._replace(records=frozenset([BUNDLE, FRAGMENT]))
        for _ in range(8):
            since = len(peer.transcript)
            serve(peer, lambda: trains(lab, "v4", payload.text(MEGABYTE)))
            check_same(ours, device, peer, since)


@contextlib.contextmanager
def watched(lab, **options):
    """The gateway, the Python end after the exchange of HELLOs, and what the kernel gives to the gateway's device."""
    with far_end(lab, **options) as (ours, peer), \
            Tap(lab.a.gateway, lab.a.name, outgoing=True, wanted=bound_for(*lab.b.networks)) as device:
        if options.get("greets", True):
            meet(lab, peer)
            assert hellos(peer)
        peer.listen(0.2)
        device.read()
        yield ours, peer, device


def flurry(lab, version, count, classes=(0,)):
    """Small datagrams of many flows from host A to nobody beyond host B's network, as fast as they go."""
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(sender(lab, version, classes[n % len(classes)])) for n in range(20)]
        target = getattr(lab.b, version)[:-1] + "77", 9
        for n in range(count):
            senders[n % 20].sendto(random.randbytes(random.choice([1, 20, 21, 60])), target)


def trains(lab, version, data, ecn=0):
    """The data in datagrams of 1,000 bytes, sixty of which leave at once."""
    target = getattr(lab.b, version)[:-1] + "77", 9
    with sender(lab, version, ecn) as out:
        for at in range(0, len(data), 60_000):
            out.sendmsg([data[at:at + 60_000]], [(_IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", 1000))], 0, target)
            time.sleep(0.004)


def sender(lab, version, ecn):
    made = lab.a.host.socket(socket.AF_INET if version == "v4" else socket.AF_INET6, socket.SOCK_DGRAM)
    made.setsockopt(*((socket.IPPROTO_IP, socket.IP_TOS) if version == "v4" else
                      (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)), ecn)
    return made


def check_same(ours, device, peer, since):
    """What the kernel gave to the device and what came since are the same packets, those of one flow in the same order, but for
    what the device's own queue could not take, which the kernel counts. What was given.
    """
    peer.settle()
    given = device.read()
    heard = peer.packets(since)
    missing, more = Counter(given) - Counter(heard), Counter(heard) - Counter(given)
    full = all_drops(ours.stats())["kernelTransmit"]
    about = f"{len(given)} given, {len(heard)} heard, {full} beyond the device's queue"
    assert not more, f"{about}; not given: {[packet.hex() for packet in list(more)[:3]]}"
    assert missing.total() <= full, f"{about}; not heard: {[packet.hex() for packet in list(missing)[:3]]}"
    assert by_flow(without(given, missing)) == by_flow(heard), "the order within a flow is another"
    return given


def without(packets, missing):
    """The packets but for the missing ones, of which there may be several alike."""
    left = Counter(missing)
    kept = []
    for packet in packets:
        if left[packet]:
            left[packet] -= 1
        else:
            kept.append(packet)
    return kept


def by_flow(packets):
    flows = {}
    for packet in packets:
        at = (packet[0] % 16 * 4, 12) if packet[0] >> 4 == 4 else (40, 8)
        flows.setdefault(packet[at[1]:at[0] + 4] + packet[9:10] * (at[0] != 40), []).append(packet)
    return flows


def check_kinds(heard, own):
    """Nothing has come that was not announced; units and members have the announced sizes."""
    assert not [entry for entry in heard if isinstance(entry.what, Malformed)]
    allowed = {Hello, bytes, type(None), *([Unit] if own.codecs else []), *(
        kind for number, kind in {BUNDLE: Bundle, FRAGMENT: Fragment, REPORT: Report, PING: Ping}.items()
        if number in own.records)}
    assert {type(entry.what) for entry in heard} <= allowed
    for entry in heard:
        if isinstance(entry.what, Unit):
            assert entry.what.parameter & 15 in own.codecs and entry.what.rest is None
            assert sum(map(len, entry.what.packets)) <= own.maximum_unit + 128 * 60
        if isinstance(entry.what, Bundle):
            assert entry.what.rest is None


def check_rules(heard):
    """What the page says of every datagram: sizes, padding, traffic class, and that records save bytes."""
    fragments = []
    for entry in heard:
        classes = {ecn(packet) for packet in entry.packets}
        if entry.packets and (entry.size or fragments):
            assert classes == {entry.traffic_class}, "another traffic class outside, or two in one record"
        if isinstance(entry.what, bytes):
            size = len(entry.what)
            assert entry.size - AROUND in (len(padded(entry.what)), max(size, MTU))
        if isinstance(entry.what, Fragment):
            fragments.append(entry)
        elif isinstance(entry.what, (Unit, Bundle)):
            wire = [entry] if entry.size else fragments
            alone = sum(len(padded(packet)) + AROUND + HEADERS for packet in entry.packets)
            assert sum(one.size + HEADERS for one in wire) < alone
            assert entry.size or len(fragments) == fragments[0].what.count
            fragments = fragments if entry.size else []


def check_pings(peer, since):
    """The gateway's questions but for those about the path MTU, which have padding: once a second at most, and less than a thousandth of
    the data."""
    questions = [entry for entry in peer.heard(Ping, since) if not entry.what.answer and not entry.what.padding]
    for one, other in zip(questions, questions[1:]):
        assert other.at - one.at > 0.95
    data = sum(entry.size for entry in peer.heard((bytes, Unit, Bundle, Fragment), since))
    assert sum(entry.size for entry in questions) <= data / 1000 + 100
    return questions


def check_reports(peer, since):
    reports = peer.heard(Report, since)
    assert reports
    for one, other in zip(reports, reports[1:]):
        assert other.what.clock - one.what.clock >= 50_000
        assert other.what.bytes - one.what.bytes >= 1000 * one.size
