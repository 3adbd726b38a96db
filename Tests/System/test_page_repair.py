"""Repair and parity with the gateway at one end, and at the other the Python end, which is written from docs/protocol.md alone."""

import contextlib
import os
import socket

import pytest

from lab import Lab
from page import by_hand
from page.far_end import bound_for, far_end, meet
from page.malformed import malformed_repairs
from page.met import NOWHERE, V4, Met, counted
from page.packets import tcp, udp
from page.parity import parities
from page.records import EVERYTHING, GONE, PARITIES, PARITY, RECEIPT, REPAIRS, Gone, Hello, Parity, Receipt, Report
from page.tap import Tap
from page.wrong import Malformed

DELAY = 0.05
TRIP = 2 * DELAY
KEEPS = "Rate = 20mbit"
"""What makes the gateway keep what it has sent."""


@pytest.fixture(scope="module")
def lab():
    """A round trip takes so long that what happens within one has happened before the processor was somebody else's."""
    with Lab(ipv6=False, faults={"delay": DELAY * 1000}) as lab:
        lab.a.gateway.run("ip", "route", "add", "blackhole", NOWHERE[0])
        yield lab


@pytest.mark.few
def test_what_is_asked_for_comes_again_byte_for_byte_and_not_sooner_than_a_round_trip_later(lab):
    with repairing(lab) as (ours, peer, _):
        peer.lose = lambda entry: bool(entry.packets) and entry.counter == (peer.lost or [entry])[0].counter
        send_udp(lab, 5)
        peer.run(lambda: len(peer.packets()) == 4, "the others")
        missing = peer.lost[0].counter
        for times in (2, 3, 4):
            for _ in range(2):
                by_hand.ask(peer, range(missing, missing + 1))
            peer.run(lambda: len(peer.lost) == times, "the lost datagram")
            peer.listen(1.5 * TRIP)
        assert len({(entry.counter, entry.datagram) for entry in peer.lost}) == 1 and len(peer.lost) == 4
        assert ours.peer()["repair"]["resent"] == 3 and not peer.heard(Gone)


@pytest.mark.few
def test_what_the_path_loses_arrives_in_the_end_and_is_what_the_kernel_gave(lab):
    with repairing(lab, repairs=True) as (ours, peer, _), \
            Tap(lab.a.gateway, lab.a.name, outgoing=True, wanted=bound_for(*lab.b.networks)) as given:
        peer.lose = lambda entry: bool(entry.packets) and entry.counter % 12 == 5 and entry.counter not in {
            one.counter for one in peer.lost}
        for _ in range(10):
            send_udp(lab, 10)
            peer.listen(0.02)
        send_udp(lab, 1)
        wanted = given.read()
        peer.run(lambda: len(peer.packets()) == len(wanted) == 101, "all of them")
        assert sorted(peer.packets()) == sorted(wanted)
        again = {entry.counter: entry.datagram for entry in peer.heard(bytes)}
        assert len(peer.lost) >= 8 and all(again[entry.counter] == entry.datagram for entry in peer.lost)
        assert not peer.heard((Malformed, Report)) and ours.peer()["repair"]["resent"] >= len(peer.lost)


def test_what_was_never_sent_is_gone(lab):
    with repairing(lab) as (ours, peer, _):
        send_udp(lab, 3)
        peer.run(lambda: len(peer.packets()) == 3, "the packets")
        for counter in (1000, 2**40, 2**64 - 9):
            since = len(peer.transcript)
            by_hand.ask(peer, range(counter, counter + 1), highest=counter + 2)
            (gone,) = peer.run(lambda: peer.heard(Gone, since), "GONE")
            assert gone.what.ranges == (range(counter, counter + 1),)
        send_udp(lab, 3)
        peer.run(lambda: len(peer.packets()) == 6, "what follows")


def test_all_that_will_not_come_again_is_gone(lab):
    with repairing(lab) as (_, peer, _):
        by_hand.ask(peer, range(1000, 1020), highest=1030)
        peer.run(lambda: peer.heard(Gone), "GONE")
        peer.listen(0.3)
        told = {counter for entry in peer.heard(Gone) for one in entry.what.ranges for counter in one}
        assert told == set(range(1000, 1020))


@pytest.mark.few
def test_a_counter_that_is_jumped_over_is_asked_for_three_times(lab):
    with repairing(lab) as (ours, peer, _):
        with_a_gap(peer, 1, 5)
        peer.listen(7 * TRIP)
        asked = questions(peer)
        times = sorted({entry.what.clock + entry.what.ago for entry in asked})
        groups = [[time for time in times if 0 <= time - first < 20_000] for first in times
                  if not any(0 < first - other < 20_000 for other in times)]
        assert len({entry.what.ranges for entry in asked}) == 1 and len(asked) in range(3, 7)
        assert len(groups) == 3 and TRIP / 8 <= asked[0].what.ago / 1e6 + 0.005 < TRIP
        for one, other in zip(groups, groups[1:]):
            assert 1.2 * TRIP < (other[0] - one[0]) / 1e6 < 2 * TRIP
        assert ours.peer()["repair"]["givenUp"] == 1


def test_a_receipt_says_what_has_arrived_and_how_much_was_lost_in_how_many_runs(lab):
    with repairing(lab) as (_, peer, _):
        left = with_a_gap(peer, 1, 4)
        more = with_a_gap(peer, 2, 4)
        peer.run(lambda: all(questions(peer, entry) for entry in left + more), "the questions")
        receipt = questions(peer)[-1].what
        arrived = [entry for entry in peer.transcript if entry.sent and entry not in left + more]
        assert {one for entry in questions(peer) for one in entry.what.ranges} == {
            range(more[0].counter, more[1].counter + 1), range(left[0].counter, left[0].counter + 1)}
        assert (receipt.lost, receipt.runs, receipt.regained, receipt.lane) == (3, 2, 0, 0)
        assert receipt[:3] == (peer.session.counter - 1, len(arrived), sum(entry.size for entry in arrived))


@pytest.mark.few
def test_tcp_waits_for_what_is_missing_and_nothing_else_does(lab):
    with repairing(lab) as (ours, peer, device):
        stream = primed(peer, device)
        segments, other = [next(stream) for _ in range(4)], udp(*V4, b"at once")
        left = by_hand.leave_out(peer, segments[0])
        for packet in (*segments[1:], other):
            peer.send(packet)
        peer.run(lambda: questions(peer, left), "the question")
        assert device.read() == [other]
        by_hand.send_again(peer, left)
        assert device.read_until(4) == segments
        assert ours.peer()["repair"]["held"] == 3


@pytest.mark.few
def test_what_is_gone_is_waited_for_no_longer(lab):
    with repairing(lab) as (_, peer, device):
        stream = primed(peer, device)
        segments = [next(stream) for _ in range(4)]
        left = by_hand.leave_out(peer, segments[0])
        for packet in segments[1:]:
            peer.send(packet)
        peer.run(lambda: questions(peer, left), "the question")
        assert not device.read()
        peer.send(Gone(left.counter + 1, (range(left.counter, left.counter + 1),)).encode())
        assert device.read_until(3, timeout=2 * TRIP) == segments[1:]
        peer.listen(3 * TRIP)
        assert len(questions(peer, left)) <= 2


def test_an_end_that_announced_one_of_the_two_records_is_sent_reports(lab):
    for one in (RECEIPT, GONE):
        with repairing(lab, own=EVERYTHING._replace(records=EVERYTHING.records | {one, PARITY})) as (_, peer, _):
            with_a_gap(peer, 1, 150)
            peer.run(lambda: peer.heard(Report), "a report")
            peer.listen(0.3)
            assert not peer.heard((Receipt, Gone, Parity, Malformed))


@pytest.mark.parametrize("line, missing", [("Repair = off", {RECEIPT, GONE, PARITY}), ("Parity = off", {PARITY})])
def test_what_the_configuration_turns_off_is_neither_announced_nor_taken(lab, line, missing):
    with repairing(lab, line, own=PARITIES) as (ours, peer, _):
        assert PARITIES.records - peer.heard(Hello)[0].what.records == missing
        before = ours.peer()["drops"]
        peer.send(Parity(0, 3, 0, 1, bytes(40)).encode())
        peer.run(lambda: counted(before, ours.peer()["drops"]) == {"malformed": 1}, "the drop to be counted")


def test_rows_come_after_blocks_and_what_was_lost_is_had_back_from_them_byte_for_byte(lab):
    with repairing(lab, "Parity = 10%", own=PARITIES) as (ours, peer, _):
        serve_until(lab, peer, lambda: peer.heard(Parity))
        peer.lose = lambda entry: bool(entry.packets) and entry.counter % 20 == 7
        serve_until(lab, peer, lambda: len(peer.had_back) >= 3)
        lost = {entry.counter: entry for entry in peer.lost}
        for entry in peer.had_back:
            assert entry.datagram == lost[entry.counter].datagram and entry.payload == lost[entry.counter].payload
        assert not peer.heard(Malformed) and ours.peer()["repair"]["resent"] == 0
        check_rows(peer)


@pytest.mark.few
@pytest.mark.parametrize("size, left_out", [(100, [0]), (700, [3, 4]), (1392, [9]), (1392, [0, 5, 9])])
def test_what_the_path_has_lost_is_delivered_from_rows_without_being_asked_for(lab, size, left_out):
    with repairing(lab, own=PARITIES) as (ours, peer, device):
        # An end keeps datagrams from the first PARITY on.
        with_rows(peer, [udp(*V4, b"first")] * 2, [])
        device.read_until(2)
        packets = [udp(*V4, os.urandom(size - n), identification=n) for n in range(10)]
        with_rows(peer, packets, left_out)
        assert sorted(device.read_until(10)) == sorted(packets)
        peer.listen(0.3)
        assert not questions(peer) and ours.peer()["repair"]["rebuilt"] == len(left_out)
        assert sum(ours.peer()["drops"].values()) == 0


@pytest.mark.parametrize("bits, left_out", [("2222222222", [0, 1]), ("0101010101", [0, 5, 9]), ("2000000000", [8, 9])])
def test_several_datagrams_are_had_back_from_a_block_of_any_ecn_classes(lab, bits, left_out):
    with repairing(lab, own=PARITIES) as (ours, peer, device):
        with_rows(peer, [udp(*V4, b"first")] * 2, [])
        device.read_until(2)
        packets = [udp(*V4, os.urandom(100), identification=n, ecn=int(ecn)) for n, ecn in enumerate(bits)]
        with_rows(peer, packets, left_out)
        assert sorted(device.read_until(10, timeout=1)) == sorted(packets)
        assert sum(ours.peer()["drops"].values()) == 0


@pytest.mark.parametrize("first", [2**63, 2**63 - 1000, 2**40, 0])
def test_rows_of_datagrams_that_are_far_away_do_no_harm(lab, first):
    with repairing(lab, own=PARITIES) as (ours, peer, device):
        with_rows(peer, [udp(*V4, b"before")] * 2, [])
        for block in (1, 3, 2**64 - 1):
            peer.send(Parity(first, block, 0, 1, bytes(40)).encode())
        peer.send(udp(*V4, b"behind"))
        assert device.read_until(3)[2:] == [udp(*V4, b"behind")]
        assert ours.peer()["repair"]["rebuilt"] == 0


@pytest.fixture(scope="module")
def met():
    with Lab(ipv6=False) as lab:
        lab.a.gateway.run("ip", "route", "add", "blackhole", NOWHERE[0])
        with repairing(lab, own=PARITIES) as (ours, peer, device):
            yield Met(ours, peer, device)


@pytest.mark.fast
@pytest.mark.parametrize("what", malformed_repairs())
def test_dropped_and_counted_is(met, what):
    met.check_arrive([malformed_repairs()[what]], [], {"malformed": 1})
    met.check_alive()


@contextlib.contextmanager
def repairing(lab, *lines, own=REPAIRS, repairs=False):
    """The gateway, the Python end after the exchange of HELLOs, and what the gateway gives to its device for nobody.

    repairs: True has the Python end ask and answer by itself.
    """
    with far_end(lab, own=own, repairs=repairs, lines=[KEEPS, *lines]) as (ours, peer), \
            Tap(lab.a.gateway, lab.a.name, outgoing=False, wanted=bound_for(NOWHERE[0])) as device:
        meet(lab, peer)
        yield ours, peer, device


def send_udp(lab, count):
    """Datagrams that can't be compressed, of three ECN classes, from host A to nobody beyond host B's network."""
    with lab.a.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for n in range(count):
            out.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, n % 3)
            out.sendto(os.urandom(1000), (lab.b.v4[:-1] + "77", 9))


def serve_until(lab, peer, condition):
    """Has host A send, and says what has arrived, without a question, until the condition is true."""
    for _ in range(100):
        send_udp(lab, 10)
        peer.listen(0.02)
        by_hand.ask(peer)
        if condition():
            return
    raise AssertionError(f"a thousand datagrams in vain: {peer.transcript[-8:]}")


def with_a_gap(peer, missing, following):
    """Sends some packets, none of the first of which arrive: those."""
    left = [by_hand.leave_out(peer, udp(*V4, bytes(1000))) for _ in range(missing)]
    for _ in range(following):
        peer.send(udp(*V4, bytes(1000)))
    return left


def with_rows(peer, packets, left_out):
    """Sends the packets but for those at these places, and as many rows, one at least. All at once, so that nothing is late."""
    sealed = [by_hand.leave_out(peer, packet, packet[1] & 3) for packet in packets]
    rows = by_hand.row_payloads(peer, [entry.counter for entry in sealed], max(len(left_out), 1))
    sealed_rows = [by_hand.leave_out(peer, one) for payloads in rows for one in payloads]
    by_hand.send_again(peer, *(entry for n, entry in enumerate(sealed) if n not in left_out), *sealed_rows)


def questions(peer, left=None):
    """The receipts that ask for something, or for what was left out."""
    return [entry for entry in peer.heard(Receipt) if entry.what.ranges and (
        left is None or any(left.counter in one for one in entry.what.ranges))]


def primed(peer, device):
    """A stream of TCP, of which a segment that was lost has been sent again: from now on others wait for such."""
    stream = (tcp(*V4, bytes(100), sequence=1000 + 100 * n, identification=n) for n in range(1000))
    segments = [next(stream) for _ in range(4)]
    peer.send(segments[0])
    left = by_hand.leave_out(peer, segments[1])
    for packet in segments[2:]:
        peer.send(packet)
    peer.run(lambda: questions(peer, left), "the question")
    by_hand.send_again(peer, left)
    assert sorted(device.read_until(4)) == sorted(segments)
    return stream


def check_rows(peer):
    """The rows are those of the datagrams; neither rows nor keepalives are in blocks, and no block is longer than ten to forty."""
    arrived = {entry.counter: entry for entry in peer.transcript + peer.lost if not entry.sent and entry.datagram}
    rows = {}
    for entry in peer.heard(Parity):
        rows.setdefault((entry.what.first, entry.what.block), []).append(entry.what)
    for some in rows.values():
        counters = some[0].counters
        assert all(arrived[counter].packets for counter in counters) and len(counters) <= 40
        made = parities({counter: arrived[counter].datagram for counter in counters}, some[0].rows)
        assert [made[one.number] for one in some] == some
