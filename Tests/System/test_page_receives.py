"""What the gateway makes of bundles, units of members, fragments, reports and pings: its far end is written from
docs/protocol.md alone, and what arrives at the device is compared byte for byte.
"""

import json
import os
import random
import struct

import pytest

from lab import Lab, payload
from page import members
from page.codecs import DEFLATE, ZSTD, zstandarded
from page.echo import echo_request
from page.far_end import bound_for, far_end, meet
from page.fragments import fragments
from page.malformed import cut_short, malformed, smuggled
from page.members import MOST, Member
from page.met import NOWHERE, V4, V6, Met, bundle, coded, counted, encoded, fitting, many, numbered, units
from page.packets import ACK, CWR, FIN, PSH, ecn, marked, tcp, udp
from page.records import BUNDLE, EVERYTHING, MEMBERS, REPORT, Hello, Ping, Report, record, unit
from page.tap import Tap
from page.variety import flows

FOREIGN, FOREIGN6 = bytes([10, 3, 0, 2]), bytes.fromhex("fd010003000000000000000000000002")
CONGESTED = 3
MEGABYTE = 1 << 20


# For the tests that the device's offloads make a difference to; the others have them on.
offloads = pytest.mark.parametrize("pair", ["off", "auto"], ids=["without offloads", "with offloads"], indirect=True)


@pytest.fixture(scope="module")
def pair(request):
    """The gateway, the Python end that announces everything, and what comes out of the device."""
    with Lab() as lab:
        lab.a.gateway.run("ip", "route", "add", "blackhole", NOWHERE[0])
        lab.a.gateway.run("ip", "-6", "route", "add", "blackhole", NOWHERE[1])
        interface = [f"Offload = {getattr(request, 'param', 'auto')}"]
        with far_end(lab, own=EVERYTHING, compression="receive", interface=interface) as (ours, peer), \
                Tap(lab.a.gateway, lab.a.name, outgoing=False, wanted=bound_for(*NOWHERE)) as device:
            meet(lab, peer)
            yield Met(ours, peer, device)


@pytest.fixture
def met(pair):
    pair.renew()
    return pair


def test_the_gateway_announces_all_records(met):
    (hello, *_) = met.peer.heard(Hello)
    assert hello.what.records >= EVERYTHING.records and hello.what.codecs >= EVERYTHING.codecs
    assert hello.what.maximum_unit == 65_535


@offloads
@pytest.mark.parametrize("codec", [None, DEFLATE, ZSTD])
@pytest.mark.parametrize("like", [True, False], ids=["alike", "in full"])
def test_packets_of_all_kinds_arrive_as_they_were(met, codec, like):
    chance = random.Random(f"{codec} {like}")
    for _ in range(8):
        some = flows(chance, 60, [V4, V6], chance.choice([0, 0, 1, 2, 3]))
        for one in fitting(some, lambda some: coded(some, codec, like)):
            packets = [packet for member in one for packet in member.packets]
            met.check_arrive([coded(one, codec, like)], packets)


@pytest.mark.parametrize("codec", [DEFLATE, ZSTD])
def test_one_packet_arrives_in_either_layout(met, codec):
    packet = udp(*V4, payload.text(MEGABYTE)[:1200])
    met.check_arrive([unit(packet, parameter=codec), units([packet], codec)], [packet] * 2)


@pytest.mark.fast
@pytest.mark.parametrize("free", [{}, {"content_size": True}, {"checksum": True}, {"window": 10}, {"window": 20}])
def test_zstd_is_read_whatever_it_carries_beside(met, free):
    data = members.encode([Member(udp(*V4, payload.text(MEGABYTE)[:1000]))] * 3)
    met.check_arrive([unit(data, zstandarded(data, **free), parameter=ZSTD | MEMBERS)], [data[1:1029]] * 3)


@pytest.mark.fast
@offloads
@pytest.mark.parametrize("codec", [DEFLATE, ZSTD])
@pytest.mark.parametrize("ends", [V4, V6], ids=["v4", "v6"])
@pytest.mark.parametrize("segment, last", [(1000, 1), (1000, 1000), (999, 998), (1, 1), (536, 7)])
def test_segmented_packets_arrive_cut(met, codec, ends, segment, last):
    data = (b"much of the same " * 4000)[:segment * 20 + last]
    whole = [
        Member(tcp(*ends, data, sequence=2**32 - 3000, flags=ACK | PSH | FIN | CWR, extra=b"\1\1\x08\n" + bytes(8),
                   **numbered(ends, 0xFFF0)), segment),
        Member(udp(*ends, data, **numbered(ends, 7)), segment),
        Member(tcp(*ends, data, sequence=9, **numbered(ends, 7)), segment),
        Member(tcp(*ends, data, sequence=9 + len(data), flags=ACK | PSH, **numbered(ends, 7 + 21)), segment)]
    for some in (whole[:1], whole[1:2], whole[2:]):
        packets = [packet for member in some for packet in member.packets]
        met.check_arrive([unit(members.encode(some), parameter=codec | MEMBERS)], packets)


@offloads
def test_segmented_packets_arrive_right_whatever_their_own_checksums_are(met):
    right = Member(udp(*V4, b"abcd" * 100, identification=1), 100)
    spoilt = Member(right.packet[:10] + b"\1\2" + right.packet[12:26] + b"\0\0" + right.packet[28:], 100)
    met.check_arrive([record(BUNDLE, 0, members.encode([spoilt]))], right.packets)


def test_a_record_brings_a_hundred_and_twenty_eight_packets_and_no_more(met):
    small = [udp(*V4, bytes([n]), identification=n) for n in range(MOST + 1)]
    met.check_arrive([bundle(small[:MOST])], small[:MOST])
    met.check_arrive([units(small[:MOST])], small[:MOST])
    met.check_arrive([bundle(small)], small[:MOST], {"malformed": 1})
    train = Member(udp(*V4, bytes(MOST)), 1)
    met.check_arrive([record(BUNDLE, 0, members.encode([train]))], train.packets)


def test_a_unit_of_the_largest_size_arrives(met):
    full = members.encode([Member(udp(*V4, bytes(65_535 - 3 - 28)), 2000)])
    assert len(full) == 65_535
    for codec in (DEFLATE, ZSTD):
        met.check_arrive([unit(full, parameter=codec | MEMBERS)], members.decode(full)[0])


def test_a_record_in_a_large_datagram_arrives(met):
    some = [udp(*V4, random.Random(n).randbytes(1300), identification=n) for n in range(6)]
    met.check_arrive([bundle(some), units(some)], some * 2)


@pytest.mark.fast
@pytest.mark.parametrize("count", [2, 3, 7, 64])
@pytest.mark.parametrize("order", ["in order", "reversed", "shuffled"])
def test_fragments_arrive_in_any_order(met, count, order):
    for _ in range(4):
        packets, whole = many()
        pieces, places = encoded(fragments(met.number(), whole, count)), range(count)
        places = {"in order": places, "reversed": places[::-1], "shuffled": random.sample(places, count)}[order]
        met.check_arrive(pieces, packets, order=places)


def test_fragments_of_many_units_mixed_with_each_other_arrive(met):
    packets, sent = [], []
    for _ in range(3):
        some, whole = many()
        packets, sent = packets + some, sent + encoded(fragments(met.number(), whole, 4))
    firsts = range(0, 12, 4)
    rest = [place for place in range(12) if place not in firsts]
    met.check_arrive(sent, packets, order=[*random.sample(rest, len(rest)), *firsts])


def test_pieces_of_two_units_with_the_same_number_are_never_joined(met):
    some, whole = many()
    number = met.number()
    first, second = encoded(fragments(number, whole, 2))
    met.check_arrive([first, *[b""] * 3, second], [])
    met.check_arrive([first, second], some)


def test_a_unit_in_fragments_that_has_one_packet_arrives(met):
    packet = udp(*V4, random.Random(5).randbytes(1300))
    met.check_arrive(encoded(fragments(met.number(), unit(packet), 2)), [packet])


def test_a_piece_that_comes_twice_or_is_unlike_the_others_does_no_harm(met):
    packets, whole = many()
    number = met.number()
    pieces, unlike = fragments(number, whole, 3), fragments(number, units(packets[1:]), 3)
    sent = [*pieces, fragments(number, whole, 4)[3], pieces[0], unlike[1]]
    before = met.drops()
    met.device.read()
    met.peer.send_in([0, 4, 3, 5, 2, 1], encoded(sent))
    assert met.device.read_until(len(packets)) == packets
    print("drops counted for 3 pieces that are none of the unit:", counted(before, met.drops()))
    met.check_alive()


def test_the_reserved_index_does_no_harm(met):
    packets, whole = many()
    first, second = fragments(met.number(), whole, 2)
    before = met.drops()
    met.device.read()
    met.peer.send_in([0, 2, 1], encoded([first, second, first._replace(index=2)]))
    assert met.device.read_until(len(packets)) == packets
    print("drops counted for the reserved index:", counted(before, met.drops()))


def test_a_unit_of_which_a_piece_is_missing_does_no_harm(met):
    given_up = met.ours.stats()["drops"]["incomplete"]
    for _ in range(40):
        _, whole = many()
        met.check_arrive(encoded(fragments(met.number(), whole, 5)[:-1]), [])
    packets, whole = many()
    met.check_arrive(encoded(fragments(met.number(), whole, 5)), packets)
    # A peer has room for sixteen.
    assert 24 <= met.ours.stats()["drops"]["incomplete"] - given_up <= 40


def test_units_that_are_never_whole_take_no_memory(met):
    _, whole = many()
    flood(met, whole, 2000)
    before = met.ours.resident
    flood(met, whole, 6000)
    assert met.ours.resident < before + MEGABYTE
    packets, whole = many()
    met.check_arrive(encoded(fragments(met.number(), whole, 5)), packets)


@pytest.mark.fast
@pytest.mark.parametrize("ends", [V4, V6], ids=["v4", "v6"])
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_congestion_on_the_way_marks_what_is_inside(met, ends, bits):
    some = [udp(*ends, bytes(100), ecn=bits, **numbered(ends, n)) for n in range(3)]
    wanted = [marked(packet) for packet in some]
    met.check_arrive([bundle(some), units(some)], wanted * 2, ecn=CONGESTED)
    for at in range(3):
        pieces = encoded(fragments(met.number(), units(some), 3))
        met.device.read()
        for index, piece in enumerate(pieces):
            met.peer.send(piece, CONGESTED if index == at else bits)
        assert met.device.read_until(3) == wanted
    train = Member(tcp(*ends, bytes(500), ecn=bits, **numbered(ends, 1)), 100)
    wanted = [marked(packet) for packet in train.packets]
    met.check_arrive([record(BUNDLE, 0, members.encode([train]))], wanted, ecn=CONGESTED)


def test_congestion_on_the_way_drops_what_is_not_capable(met):
    some = [udp(*V4, bytes(100), identification=n) for n in range(3)]
    for payloads in ([bundle(some)], [units(some)], encoded(fragments(met.number(), units(some), 3))):
        met.check_arrive(payloads, [], {"congestion": 3}, ecn=CONGESTED)


def test_a_record_of_two_ecn_classes_does_no_harm(met):
    some = [udp(*V4, bytes(50), ecn=bits, identification=n) for n, bits in enumerate((2, 2, 0, 2))]
    for outer in (0, 2, CONGESTED):
        before = met.drops()
        met.device.read()
        met.peer.send(bundle(some), outer)
        arrived = met.device.read_until(4, timeout=0.5)
        drops = counted(before, met.drops())
        print(f"outer {outer}: {len(arrived)} arrived with {[ecn(one) for one in arrived]}, {drops}")
        assert arrived[:2] == [marked(one) if outer == CONGESTED else one for one in some[:2]]
    met.check_alive()


@pytest.mark.parametrize("ends", [V4, V6], ids=["v4", "v6"])
def test_a_member_of_a_foreign_source_is_dropped_and_the_others_arrive(met, ends):
    foreign = FOREIGN if ends is V4 else FOREIGN6, ends[1]
    some = [udp(*(foreign if n % 3 == 0 else ends), bytes(60), **numbered(ends, n)) for n in range(6)]
    wanted = [one for n, one in enumerate(some) if n % 3]
    met.check_arrive([bundle(some), units(some)], wanted * 2, {"allowedIPs": 4})
    met.check_arrive(encoded(fragments(met.number(), units(some), 2)), wanted, {"allowedIPs": 2})


def test_a_segmented_member_of_a_foreign_source_is_dropped(met):
    train = Member(udp(FOREIGN, V4[1], bytes(50)), 10)
    before, good = met.drops(), udp(*V4, b"good")
    met.device.read()
    met.peer.send(record(BUNDLE, 0, members.encode([train, Member(good)])))
    assert met.device.read_until(1) == [good]
    drops = counted(before, met.drops())
    print("drops counted for a train of 5:", drops)
    assert set(drops) == {"allowedIPs"}


@pytest.mark.parametrize("padding", [0, 1, 100, 1300])
def test_a_ping_is_answered_at_once_with_its_token_alone(met, padding):
    token, since = os.urandom(8), len(met.peer.transcript)
    met.peer.send(Ping(token, padding=os.urandom(padding)).encode())
    sent = met.peer.transcript[since].at
    met.peer.run(lambda: met.peer.heard(Ping, since), "the answer")
    met.peer.listen(0.2)
    (answer,) = met.peer.heard(Ping, since)
    assert answer.what == Ping(token, True) and answer.at < sent + 0.1 and answer.size == 48


def test_answers_that_nobody_waits_for_and_reports_of_anything_do_no_harm(met):
    before = met.drops()
    largest = Report(2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1)
    for one in (Ping(os.urandom(8), True), largest, Report(0, 0, 0, 0, 0), Report(5, 0, 2**63, 1, 7)):
        met.peer.send(one.encode())
    met.peer.send(record(REPORT, 0, bytes(60)))
    met.check_alive()
    assert met.drops() == before


def test_a_report_says_what_has_arrived(met):
    """Every other counter of the last hundred is left out."""
    peer, packet = met.peer, udp(*V4, bytes(1300))
    for n in range(100):
        peer.send(packet)
        peer.session.counter += n % 2
    since = len(peer.transcript)
    peer.listen(0.1)
    for _ in range(30):
        peer.send(packet)
        peer.session.counter += 1
    for _ in range(100):
        peer.send(packet)
        peer.listen(0.01)
    (*_, report) = peer.run(lambda: peer.heard(Report, since), "a report")
    sent = {e.counter: e for e in peer.transcript[met.began:] if e.sent and e.at <= report.at}
    until = [e for counter, e in sent.items() if counter <= report.what.highest]
    assert report.what.highest in sent and report.what.lane == 0
    assert report.what.bitmap == sum(1 << i for i in range(64) if report.what.highest - i in sent)
    assert (report.what.datagrams, report.what.bytes) == (len(until), sum(e.size for e in until))


def test_reports_are_rare_and_their_clock_runs(met):
    since, packet = len(met.peer.transcript), udp(*V4, bytes(1300))
    while len(met.peer.transcript) < since + 4000:
        for _ in range(20):
            met.peer.send(packet)
        met.peer.listen(0.01)
    reports = met.peer.heard(Report, since)
    assert len(reports) > 5
    for one, other in zip(reports, reports[1:]):
        assert (other.what.clock - one.what.clock) / 1e6 >= 0.05
        assert other.what.clock - one.what.clock == pytest.approx((other.at - one.at) * 1e6, abs=40_000)
        assert other.what.bytes - one.what.bytes >= 1000 * one.size
        assert one.size == 80


def test_an_end_without_data_sends_neither_reports_nor_pings(met):
    met.peer.listen(1)
    since = len(met.peer.transcript)
    met.peer.listen(3)
    assert not met.peer.heard((Report, Ping), since)


@pytest.mark.parametrize("what", malformed(echo_request(*V4, b"abcd" * 250)))
def test_dropped_and_counted_is(met, what):
    met.check_arrive([malformed(echo_request(*V4, b"abcd" * 250))[what]], [], {"malformed": 1})
    met.check_alive()


@pytest.mark.parametrize("form", ["bundle", "unit", "fragments"])
@pytest.mark.parametrize("what", cut_short(udp(*V4, b""), udp(*V4, bytes(100))))
def test_the_packets_before_count_when_the_rest_is(met, what, form):
    first = udp(*V4, bytes(100))
    data = cut_short(first, first)[what]
    whole = unit(data, parameter=DEFLATE | MEMBERS)
    payloads = {"bundle": [record(BUNDLE, 0, data)], "unit": [whole],
                "fragments": encoded(fragments(met.number(), whole, 2))}[form]
    met.check_arrive(payloads, [first], {"malformed": 1})
    met.check_alive()


@pytest.mark.parametrize("what", smuggled(echo_request(*V4, b"abcd" * 250)))
def test_dropped_is_in_fragments(met, what):
    met.check_arrive(smuggled(echo_request(*V4, b"abcd" * 250))[what], [], {"malformed": 1})
    met.check_alive()


def test_gatewayctl_says_what_was_dropped(met):
    met.check_arrive([units([udp(FOREIGN, V4[1], b"")])], [], {"allowedIPs": 1})
    (peer,) = json.loads(met.ours.ctl("stats", met.ours.name, "--json").stdout)["peers"]
    assert peer["drops"] == met.ours.peer()["drops"] and peer["drops"]["allowedIPs"] > 0


@pytest.mark.fast
@offloads
def test_plain_packets_and_bundles_follow_each_other_in_order(met):
    some = [udp(*V4, struct.pack("I", n) * 30, identification=n) for n in range(60)]
    payloads, sent = [], iter(some)
    for n in range(10):
        three = [next(sent) for _ in range(3)]
        payloads += [bundle(three), next(sent), units([next(sent), next(sent)])]
    met.check_arrive(payloads, some)


def flood(met, whole, count):
    for _ in range(count):
        met.peer.send(fragments(met.number(), whole, 3)[1].encode())
    met.peer.listen(0.2)
