"""What the gateway makes of PACK: its far end is written from docs/protocol.md alone."""

import random

import pytest

from lab import Lab
from page import members
from page.echo import echo_request
from page.far_end import bound_for, far_end, meet
from page.fragments import fragments
from page.malformed import cut_short, malformed_packs
from page.members import Member
from page.met import NOWHERE, V4, V6, Met, bundle, encoded, numbered
from page.packets import marked, udp
from page.records import EVERYTHING, PACK, record
from page.tap import Tap

MTU = 9000
CONGESTED = 3


@pytest.fixture(scope="module")
def pair():
    with Lab(lan_mtu=MTU) as lab:
        lab.a.gateway.run("ip", "route", "add", "blackhole", NOWHERE[0])
        lab.a.gateway.run("ip", "-6", "route", "add", "blackhole", NOWHERE[1])
        with far_end(lab, own=EVERYTHING, compression="receive", interface=[f"MTU = {MTU}"]) as (ours, peer), \
                Tap(lab.a.gateway, lab.a.name, outgoing=False, wanted=bound_for(*NOWHERE)) as device:
            meet(lab, peer)
            yield Met(ours, peer, device)


@pytest.fixture
def met(pair):
    pair.renew()
    return pair


@pytest.mark.fast
@pytest.mark.parametrize("count", [1, 2, 13, 64])
@pytest.mark.parametrize("ends", [V4, V6], ids=["v4", "v6"])
def test_a_pack_arrives_in_one_datagram_or_in_pieces_in_any_order(met, ends, count):
    some = [udp(*ends, random.Random(n).randbytes(size), **numbered(ends, n))
            for n, size in enumerate((8900, 1, 1400, 1472, 3000, 60))]
    whole = pack(some)
    pieces = [whole] if count == 1 else encoded(fragments(met.number(), whole, count))
    met.check_arrive(pieces, some, order=random.sample(range(count), count))


def test_the_largest_pack_arrives(met):
    some = [udp(*V4, random.Random(n).randbytes(8972), identification=n) for n in range(7)]
    largest = lambda more: some + [udp(*V4, bytes(200 + more), identification=99)]  # noqa: E731
    some = largest(65_535 - 4 - len(members.encode(map(Member, largest(0)))))
    whole = pack(some)
    assert whole[2:4] == (65_531).to_bytes(2, "little")
    met.check_arrive(encoded(fragments(met.number(), whole, 60)), some)


def test_a_train_in_a_pack_arrives_cut(met):
    train = Member(udp(*V4, bytes(20_000), identification=7), 1400)
    met.check_arrive(encoded(fragments(met.number(), record(PACK, 0, members.encode([train])), 15)), train.packets)


def test_packs_and_what_follows_them_stay_in_order(met):
    some = [udp(*V4, random.Random(n).randbytes(size), identification=n) for n, size in enumerate((3000, 50, 1300, 70, 80))]
    pieces = encoded(fragments(met.number(), pack(some[:2]), 3))
    met.check_arrive([*pieces, some[2], bundle(some[3:])], some)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_congestion_that_a_piece_of_a_pack_met_marks_what_is_inside(met, at):
    some = [udp(*V4, bytes(1400), ecn=2, identification=n) for n in range(2)]
    met.device.read()
    for index, piece in enumerate(encoded(fragments(met.number(), pack(some), 3))):
        met.peer.send(piece, CONGESTED if index == at else 2)
    assert met.device.read_until(2) == [marked(packet) for packet in some]


@pytest.mark.parametrize("what", malformed_packs(echo_request(*V4, b"abcd" * 250)))
def test_dropped_and_counted_is(met, what):
    met.check_arrive([malformed_packs(echo_request(*V4, b"abcd" * 250))[what]], [], {"malformed": 1})
    met.check_alive()


@pytest.mark.parametrize("what", cut_short(udp(*V4, b""), udp(*V4, bytes(100))))
def test_the_packets_before_count_when_the_rest_of_a_pack_is(met, what):
    first = udp(*V4, bytes(100))
    whole = record(PACK, 0, cut_short(first, first)[what])
    met.check_arrive([whole], [first], {"malformed": 1})
    met.check_arrive(encoded(fragments(met.number(), whole, 2)), [first], {"malformed": 1})
    met.check_alive()


def pack(packets):
    return record(PACK, 0, members.encode(map(Member, packets)))
