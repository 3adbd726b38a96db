"""Members, bundles and units come back as they were, and what is wrong with one drops the rest."""

import random

import pytest

from . import members
from .codecs import DEFLATE, ZSTD, zstandarded
from .malformed import cut_short
from .members import LIKE, MOST, Member, cut, decode, number
from .packets import ACK, CWR, FIN, PSH, TCP, ecn, header, ip, marked, right_sums, tcp, udp
from .records import BUNDLE, EVERYTHING, MEMBERS, Malformed, padded, record, unit
from .records import decode as decode_payload
from .variety import flows

pytestmark = pytest.mark.fast

V4 = bytes([10, 2, 0, 2]), bytes([10, 1, 0, 2])
V6 = bytes.fromhex("fd010002000000000000000000000002"), bytes.fromhex("fd010001000000000000000000000002")
UDP100 = udp(*V4, bytes(100))


@pytest.mark.parametrize("seed", range(60))
def test_packets_of_all_kinds_come_back_as_they_were(seed):
    chance = random.Random(seed)
    for _ in range(10):
        some = fitting(flows(chance, chance.randrange(1, 40), [V4, V6], ecn=chance.randrange(4)))
        sent = [packet for member in some for packet in member.packets]
        alike, full = members.encode(some), members.encode(some, like=False)
        assert decode(alike) == (sent, None) == decode(full)
        assert len(alike) <= len(full)


def test_packets_of_one_flow_cost_little_more_than_their_payloads():
    flow = [udp(*V4, bytes(100), identification=n) for n in range(20)]
    assert len(members.encode(map(Member, flow))) == 1 + 128 + 19 * (3 + 100)
    flow = [tcp(*V6, bytes(200), sequence=200 * n) for n in range(20)]
    assert len(members.encode(map(Member, flow))) == 1 + 260 + 19 * (4 + 200)


def test_what_a_like_member_takes_over_is_what_the_page_says():
    first = tcp(*V4, b"12345", identification=0xFFFF, sequence=2**32 - 2, options=b"\1" * 4)
    second = tcp(*V4, b"abc", identification=0, sequence=3, options=b"\1" * 4)
    assert decode(b"\0" + first + bytes([LIKE]) + number(3) + number(0) + b"abc") == ([first, second], None)
    segmented = Member(tcp(*V4, bytes(25), identification=7, sequence=100), 10)
    after = tcp(*V4, b"", identification=10, sequence=125)
    alike = members.encode([segmented, Member(after)])
    assert alike[-3:] == bytes([LIKE, 0, 0])
    assert decode(alike) == (segmented.packets + [after], None)


def test_the_last_half_word_of_the_longest_header_can_differ():
    longest = {"options": b"\1" * 40, "extra": b"\1" * 40}
    one, other = tcp(*V4, b"x", **longest), tcp(*V4, b"y", sequence=1, identification=1, **longest)
    other = other[:118] + b"\2\3" + other[120:]
    alike = members.encode([Member(one), Member(other)])
    assert len(alike) == 1 + 121 + 1 + 1 + 9 + 4 + 1
    assert decode(alike) == ([one, other], None)


@pytest.mark.parametrize("ends", [V4, V6])
def test_a_segmented_packet_is_cut_as_the_page_says(ends):
    number = {"identification": 0xFFFE} if ends is V4 else {}
    whole = tcp(*ends, b"abcdefg", sequence=2**32 - 1, flags=ACK | PSH | FIN | CWR, extra=b"\1" * 4, **number)
    wanted = [
        tcp(*ends, data, sequence=sequence, flags=flags, extra=b"\1" * 4,
            **({"identification": (0xFFFE + n) % 65536} if number else {}))
        for n, (data, sequence, flags) in enumerate(
            [(b"abc", -1, ACK | CWR), (b"def", 2, ACK), (b"g", 5, ACK | PSH | FIN)])]
    spoilt = right_sums(whole, header(whole))[:10] + b"\1\2" + whole[12:]
    assert cut(whole, 3) == wanted and (ends is V6 or cut(spoilt, 3) == wanted)
    assert cut(udp(*ends, b"abcd"), 3) == [
        udp(*ends, b"abc"), udp(*ends, b"d", **({"identification": 1} if ends is V4 else {}))]


@pytest.mark.parametrize("packet", [
    ip(*V4, 1, bytes(50)), ip(*V6, 58, bytes(50)), ip(*V4, TCP, bytes(50)), udp(*V4, bytes(50), fragment=0x2000),
    udp(*V4, bytes(50), fragment=1), ip(*V6, 44, bytes(60))])
def test_only_tcp_and_udp_are_segmented(packet):
    with pytest.raises(Malformed):
        cut(packet, 10)


@pytest.mark.parametrize("what", cut_short(UDP100, UDP100))
def test_what_cannot_be_read_drops_the_rest_and_the_packets_before_count(what):
    packets, reason = decode(cut_short(UDP100, UDP100)[what])
    assert packets == [UDP100] and isinstance(reason, Malformed)


def test_packets_of_another_ecn_class_do_not_belong_into_the_record():
    packets, reason = decode(members.encode([Member(UDP100), Member(marked(UDP100))]))
    assert packets == [UDP100] and isinstance(reason, Malformed)


def test_a_record_holds_a_hundred_and_twenty_eight_packets():
    small = udp(*V4, b"1")
    for count, right in ((MOST, True), (MOST + 1, False)):
        packets, reason = decode(members.encode([Member(small)] * count))
        assert packets == [small] * MOST and (reason is None) == right


def test_bundles_and_units_of_members_come_back_as_they_were():
    some = fitting(flows(random.Random(1), 20, [V4, V6]))
    sent, data = [packet for member in some for packet in member.packets], members.encode(some)
    assert decode_payload(record(BUNDLE, 0, data), EVERYTHING).packets == sent
    for codec in (DEFLATE, ZSTD):
        for whole in (unit(data, parameter=codec | MEMBERS), unit(data, parameter=codec | MEMBERS)[:-1] + b"\0"):
            assert decode_payload(whole, EVERYTHING)[:2] == (sent, None)


@pytest.mark.parametrize("free", [{}, {"content_size": True}, {"checksum": True}, {"window": 10}, {"window": 20}])
def test_frames_of_zstd_are_read_whatever_they_carry_beside(free):
    packet = udp(*V4, b"abcd" * 300)
    assert decode_payload(unit(packet, zstandarded(packet, **free), parameter=ZSTD), EVERYTHING).packet == packet


def test_what_was_not_announced_is_dropped():
    data = members.encode([Member(UDP100)])
    for payload, announced in (
            (record(BUNDLE, 0, data), EVERYTHING._replace(records=frozenset([0x13]))),
            (unit(data, parameter=DEFLATE | MEMBERS), EVERYTHING._replace(records=frozenset([0x13]))),
            (unit(data, parameter=ZSTD | MEMBERS), EVERYTHING._replace(codecs=frozenset([DEFLATE])))):
        with pytest.raises(Malformed):
            decode_payload(payload, announced)
        assert decode_payload(payload, EVERYTHING).packets == [UDP100]


def test_congestion_marks_a_packet_and_its_checksum():
    for ends in (V4, V6):
        assert marked(udp(*ends, b"data", ecn=2)) == udp(*ends, b"data", ecn=3)
        assert [ecn(udp(*ends, b"", ecn=bits)) for bits in range(4)] == [0, 1, 2, 3]
    assert decode_payload(padded(UDP100), EVERYTHING) == UDP100


def fitting(some):
    """The first members that one record holds."""
    chosen, count = [], 0
    for member in some:
        count += member.count
        if count > MOST:
            break
        chosen.append(member)
    return chosen
