"""Fragments, reports and pings, without a socket, and how packets are sent."""

import itertools
import random

import pytest

from . import members
from .arrivals import Arrivals
from .choice import payloads
from .fragments import Assembly, fragments
from .malformed import smuggled
from .members import Member
from .packets import udp
from .pings import Pings
from .records import (
    BUNDLE, EVERYTHING, FRAGMENT, MEMBERS, PING, REPORT, Bundle, Fragment, Hello, Ping, Report, Unit, decode, padded,
    record, unit)
from .wrong import Malformed

pytestmark = pytest.mark.fast

ENDS = bytes([10, 2, 0, 2]), bytes([10, 1, 0, 2])
PACKET = udp(*ENDS, random.Random(7).randbytes(6000))
WHOLE = unit(PACKET)
LATER = 1.01


def test_records_come_back_as_they_were():
    for what in (Fragment(7, 20, 1, 3, b"pieces!"), Report(2**64 - 1, 5, 3, 4, 9, 1), Ping(b"tokentok", False, b"pad"),
                 Ping(b"tokentok", True), EVERYTHING._replace(seen=True)):
        assert decode(what.encode(), EVERYTHING) == what
    longer = record(REPORT, 0, bytes(range(50)))
    assert decode(longer, EVERYTHING) == decode(record(REPORT, 0, bytes(range(40))), EVERYTHING)


@pytest.mark.parametrize("count", [2, 3, 5, 63, 64])
def test_fragments_in_any_order_make_the_unit(count):
    pieces = fragments(9, WHOLE, count)
    for order in (pieces, pieces[::-1], random.Random(count).sample(pieces, count)):
        assembly = Assembly()
        taken = [assembly.take(decode(piece.encode(), EVERYTHING), 5 + piece.index, False, 0) for piece in order]
        assert taken[:-1] == [None] * (count - 1)
        whole, congested = taken[-1]
        assert decode(whole, EVERYTHING).packet == PACKET and not congested


def test_a_piece_that_came_already_or_is_unlike_the_others_is_dropped():
    assembly, pieces = Assembly(), fragments(9, WHOLE, 3)
    assembly.take(pieces[0], 5, True, 0)
    for wrong in (pieces[0], fragments(9, WHOLE, 4)[1], fragments(9, unit(PACKET[:3000], PACKET[:3000]), 3)[1]):
        with pytest.raises(Malformed):
            assembly.take(wrong, 5 + wrong.index, False, 0)
    assert assembly.take(pieces[1], 6, False, 0) is None
    whole, congested = assembly.take(pieces[2], 7, False, 0)
    assert congested and decode(whole, EVERYTHING).packet == PACKET


def test_units_that_are_never_whole_are_forgotten():
    assembly, (first, second) = Assembly(), fragments(9, WHOLE, 2)
    assembly.take(first, 5, False, 0)
    assert assembly.take(second, 6, False, LATER) is None
    assert assembly.take(first, 5, False, LATER)


def test_pieces_with_one_number_that_do_not_follow_each_other_are_of_two_units():
    assembly, (first, second) = Assembly(), fragments(9, WHOLE, 2)
    assert assembly.take(first, 5, False, 0) is None
    assert assembly.take(second, 5 + 2 * 2**16, False, 0) is None
    assert assembly.take(second, 6, False, 0)
    with pytest.raises(Malformed):
        assembly.take(second, 0, False, 0)


@pytest.mark.parametrize("what", smuggled(PACKET[:1000]))
def test_only_a_unit_travels_in_fragments(what):
    assembly = Assembly()
    with pytest.raises(Malformed):
        for counter, payload in enumerate(smuggled(udp(*ENDS, bytes(999)))[what]):
            whole = assembly.take(decode(payload, EVERYTHING), counter, False, 0)
        decode(whole[0], EVERYTHING)


def test_a_report_says_what_has_arrived_and_is_rare():
    arrivals = Arrivals()
    for counter in (0, 1, 3, 2, 7):
        arrivals.note(counter, 1000)
    assert arrivals.report(1) == Report(7, 0b11110001, 5, 5000, 1_000_000)
    assert arrivals.report(2) is None
    for counter in range(8, 90):
        arrivals.note(counter, 1000)
    assert arrivals.report(1.04) is None
    assert arrivals.report(1.05)[:4] == (89, 2**64 - 1, 87, 87_000)


def test_a_ping_is_asked_once_a_second_beside_data():
    pings = Pings()
    assert pings.send_data(40_000, 0) is None
    question = pings.send_data(10_000, 0)
    assert pings.send_data(10**6, 0.9) is None
    pings.hear_answer(Ping(b"another!", True), 0.1)
    pings.hear_answer(question._replace(answer=True), 0.2)
    assert pings.trips == [0.2] and pings.send_data(1, 1)


@pytest.mark.parametrize("theirs", [
    None, Hello(frozenset()), Hello(), Hello(maximum_unit=100), EVERYTHING, EVERYTHING._replace(codecs=frozenset()),
    EVERYTHING._replace(records=frozenset([BUNDLE])), EVERYTHING._replace(records=frozenset([FRAGMENT, REPORT, PING]))])
def test_packets_are_sent_as_what_was_announced_and_nothing_else(theirs):
    sent = [udp(*ENDS, b"text" * size, ecn=bits) for bits in (0, 2) for size in (1, 300, 2, 3)]
    sent += [udp(*ENDS, random.Random(n).randbytes(900).hex().encode(), ecn=2) for n in range(4)]
    wire, assembly, heard = list(payloads(sent, theirs, itertools.count())), Assembly(), []
    for counter, (payload, bits) in enumerate(wire):
        what = decode(payload, theirs or Hello(frozenset()))
        if isinstance(what, Fragment):
            whole = assembly.take(what, counter, False, 0)
            what = decode(whole[0], theirs) if whole else Bundle([], None)
        heard += [(packet, bits) for packet in (what.packets if isinstance(what, (Unit, Bundle)) else [what])]
    assert heard == [(packet, packet[1]) for packet in sent]
    assert sum(len(payload) for payload, _ in wire) <= sum(len(padded(packet)) for packet in sent)


def test_a_unit_of_many_packets_in_fragments_gives_them_all():
    sent = [udp(*ENDS, random.Random(n).randbytes(400)) for n in range(20)]
    whole = unit(members.encode(map(Member, sent)), parameter=2 | MEMBERS)
    assembly = Assembly()
    *_, (record, _) = [assembly.take(piece, piece.index, False, 0) for piece in fragments(0, whole, 7)]
    assert decode(record, EVERYTHING).packets == sent
