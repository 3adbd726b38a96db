"""RECEIPT and GONE, what is asked for and what is sent again (§3.10), without a socket; and two ends over the loopback."""

import random

import pytest

from . import by_hand
from .arrivals import Arrivals
from .gaps import Gaps, ranges_of
from .malformed import malformed_repairs
from .packets import udp
from .records import PARITIES, PARITY, Gone, Parity, Receipt, Report, decode
from .repair import Repair
from .sent import Sent
from .test_two_ends import two_ends
from .wrong import Malformed

pytestmark = pytest.mark.fast

ENDS = bytes([10, 2, 0, 2]), bytes([10, 1, 0, 2])
TRIP = 0.1


def test_records_come_back_as_they_were():
    ranges = range(990, 1000), range(5, 6), range(0, 4)
    for what in (Receipt(2**64 - 1, 5, 3, 4, 9, 1, 2, 3, (), 1), Receipt(1000, 5, 3, 2**32 - 1, 9, ranges=ranges),
                 Gone(1000, ranges, 1), Gone(2**64 - 1, (range(2**64 - 2, 2**64 - 1),)),
                 Parity(9, 2**64 - 1, 2, 3, bytes(range(60)), 1)):
        assert decode(what.encode(), PARITIES) == what


def test_ranges_count_downwards_from_the_highest_counter():
    receipt = Receipt(1000, 3, 2, 7, 1, 6, 5, 4, (range(997, 999), range(5, 6)))
    assert receipt.encode().hex() == (
        "18003400" "e803000000000000" "0300000000000000" "0200000000000000" "07000000" "01000000" "06000000" "05000000"
        "04000000" "01000200" "df030100" + "00" * 8)
    assert Gone(1000, (range(998, 1000),)).encode().hex() == "19000c00" "e803000000000000" "00000200"


@pytest.mark.parametrize("what", malformed_repairs())
def test_dropped_is(what):
    with pytest.raises(Malformed):
        decode(malformed_repairs()[what], PARITIES)


def test_what_is_jumped_over_is_asked_for_three_times():
    gaps, asked = Gaps(), {}
    for counter in (0, 1, 4, 6):
        gaps.note(counter, 1)
    for turn in range(1000):
        if (ranges := gaps.ask(1 + turn / 1000, TRIP)):
            asked[turn / 1000] = ranges
    assert list(asked) == pytest.approx([TRIP / 8, TRIP / 8 + 1.25 * TRIP, TRIP / 8 + 2.5 * TRIP], abs=0.003)
    assert list(asked.values()) == [[range(5, 6), range(2, 4)]] * 3
    assert (gaps.lost, gaps.runs, gaps.missing) == (3, 2, [])


def test_what_is_late_is_not_asked_for_and_the_next_has_as_long():
    gaps = Gaps()
    for counter, at in ((0, 0), (2, 1), (1, 1.01), (4, 2)):
        gaps.note(counter, at)
        assert not gaps.ask(at, 0.02)
    assert not gaps.ask(2.009, 0.02) and gaps.ask(2.011, 0.02) == [range(3, 4)] and gaps.lost == 1
    gaps.note(3, 2.5)
    gaps.note(6, 3)
    assert gaps.ask(3.006, 0.005) == [range(5, 6)], "no longer than a round trip"


def test_neither_what_is_gone_nor_what_a_path_that_was_away_has_lost_is_asked_for():
    gaps = Gaps()
    gaps.note(9, 0)
    gaps.hear_gone([range(0, 8)])
    assert gaps.ask(TRIP, TRIP) == [range(8, 9)]
    gaps.note(8, 1)
    gaps.note(10 + 4097, 1)
    assert gaps.missing == [] and not gaps.ask(2, TRIP)
    gaps.note(10 + 4097 + 4097, 2)
    assert len(gaps.missing) == 4096 and gaps.ask(3, TRIP)


def test_what_parity_gave_back_is_lost_and_not_asked_for():
    gaps = Gaps()
    gaps.note(0, 0)
    gaps.note(3, 0)
    gaps.note(1, 0.001, had_back=True)
    gaps.note(2, 0.001, had_back=True)
    assert not gaps.ask(1, TRIP) and (gaps.lost, gaps.runs, gaps.regained) == (2, 1, 2)


def test_no_more_ranges_than_a_receipt_has_are_asked_for_at_once():
    gaps = Gaps()
    for counter in range(0, 40, 2):
        gaps.note(counter, 0)
    first, second, third = (gaps.ask(1 + n / 1000, TRIP) for n in range(3))
    assert (len(first), len(second), len(third)) == (8, 8, 3) and first[0] == range(37, 38)
    assert ranges_of([1, 2, 4]) == [range(4, 5), range(1, 3)]


def test_a_receipt_counts_what_has_arrived_and_tells_how_long_ago():
    repair = Repair(Arrivals(), 7)
    for counter, at in ((0, 5), (1, 5.1), (4, 2**32 / 1e6 + 1), (3, 2**32 / 1e6 + 2)):
        repair.note(counter, 1000, at)
    (one, other) = repair.questions(2**32 / 1e6 + 3)
    assert one == other == Receipt(4, 4, 4000, 1_000_000, 2_000_000, 1, 1, 0, (range(2, 3),))


def test_receipts_are_rare_and_less_so_while_something_is_missing():
    repair, at, due = Repair(Arrivals(), 7), 0, []
    for counter in [*range(400), *range(401, 1000)]:
        at += 0.01
        repair.note(counter, 1000, at)
        due += [counter] if repair.due(at) else []
    assert due[:5] == [0, 80, 160, 240, 320] and 401 in due
    assert {b - a for a, b in zip(due[7:], due[8:])} == {8}


def test_the_same_bytes_go_again_but_not_sooner_than_a_round_trip():
    sent = Sent()
    for counter in range(5):
        sent.keep(counter, b"datagram %d" % counter, counter % 2, 0)
    for now, again in ((0.15, True), (0.2, False), (0.26, True)):
        assert sent.hear_question((range(3, 4),), now, TRIP) == ([(b"datagram 3", 1)] * again, None)
    assert sent.hear_question((range(3, 8),), 0.3, TRIP) == ([(b"datagram 4", 0)], Gone(8, (range(5, 8),)))
    assert sent.hear_question((range(0, 2),), 9, TRIP) == ([], Gone(2, (range(0, 2),)))


def test_no_more_goes_again_than_a_tenth_and_a_little():
    sent = Sent()
    for counter in range(400):
        sent.keep(counter, bytes(1000), 0, 0)
    again, gone = sent.hear_question((range(0, 400),), 0.2, TRIP)
    assert len(again) == 60 and gone == Gone(400, (range(60, 400),))


def test_two_ends_repair_what_is_lost_between_them():
    chance, sent = random.Random(3), [udp(*ENDS, bytes([n]) * 400, identification=n) for n in range(60)]
    with two_ends(PARITIES._replace(codecs=frozenset()), seconds=2) as (asking, answering):
        answering.lose = lambda entry: bool(entry.packets) and chance.random() < 0.3
        for packet in sent:
            asking.send_packets(packet)
            asking.listen(0.001)
        asking.send(b"")
        asking.run(lambda: len(answering.packets()) == 60, "all of them")
    assert sorted(answering.packets()) == sorted(sent)
    assert answering.lost and not answering.heard(Report) and not answering.had_back
    lost, again = {e.counter: e.datagram for e in answering.lost}, {e.counter: e.datagram for e in answering.heard(bytes)}
    assert all(again[counter] == datagram for counter, datagram in lost.items())


def test_an_end_has_back_from_rows_what_is_lost_before_it():
    sent = [udp(*ENDS, bytes([n]) * 400, identification=n) for n in range(20)]
    with two_ends(PARITIES._replace(codecs=frozenset())) as (asking, answering):
        first = asking.session.counter
        for place, packet in enumerate(sent):
            if place in (3, 11, 12):
                by_hand.leave_out(asking, packet)
            else:
                asking.send(packet)
        for payloads in by_hand.row_payloads(asking, range(first, first + 20), 3):
            for one in payloads:
                asking.send(one)
        asking.run(lambda: len(answering.packets()) == 20, "all of them", 0.8)
    assert [entry.what for entry in answering.had_back] == [sent[place] for place in (3, 11, 12)]
    assert len(answering.heard(Parity)) == 3 and PARITY in asking.line.greeting.peer.records
