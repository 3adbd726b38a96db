"""Units that refer to others (§3.14, §3.16) with the gateway at one end, and at the other the Python end, which is written from the page alone."""

import contextlib
import random
import socket

import pytest

from lab import Lab
from page.far_end import bound_for, far_end, meet
from page.history import Log, OutgoingStream
from page.members import Member, encode
from page.met import NOWHERE, V4, Met
from page.packets import tcp, udp
from page.records import BRIEF, HISTORIES, History, Learned, Recall, Stream
from page.tap import Tap

REFERS = ("Rate = 2mbit", "History = auto")


@pytest.fixture(scope="module")
def lab():
    with Lab(ipv6=False) as lab:
        lab.a.gateway.run("ip", "route", "add", "blackhole", NOWHERE[0])
        yield lab


def message(number):
    chance = random.Random(number)
    return (f'{{"id": {chance.randrange(10**6)}, "name": "user{chance.randrange(1000)}", "active": true, '
            f'"mail": "user{chance.randrange(1000)}@example.com", "tags": ["a", "b{chance.randrange(9)}"]}}').encode()


@pytest.mark.parametrize("own", [HISTORIES, BRIEF], ids=["long", "short"])
def test_small_units_of_the_gateway_refer_to_what_was_said_to_be_learned(lab, own):
    with referring(lab, own) as (ours, peer, _), \
            Tap(lab.a.gateway, lab.a.name, outgoing=True, wanted=bound_for(*lab.b.networks)) as given, \
            lab.a.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for number in range(60):
            out.sendto(message(number), (lab.b.v4[:-1] + "77", 4000))
            peer.listen(0.02)
        wanted = given.read()
        peer.run(lambda: len(peer.packets()) >= 60, "all packets")
        assert peer.packets() == wanted
        recalls = [entry.what for entry in peer.heard(Recall)]
        assert len(recalls) > 50 and sum(one.refers for one in recalls) > 40
        assert all(one.deflated == (own is BRIEF) for one in recalls)
        assert ours.peer()["history"]["broken"] == 0


def test_the_gateway_reads_units_that_refer_and_says_what_it_has_learned(lab):
    with referring(lab) as (ours, peer, device):
        met, log = Met(ours, peer, device), Log(9)
        packets = [udp(*V4, message(number), identification=number) for number in range(20)]
        for number, packet in enumerate(packets):
            base = log.known % 256 if log.known else None
            met.check_arrive([log.recall(encode([Member(packet)]), 7, number, base).encode()], [packet])
            log.learn(encode([Member(packet)]), number)
            peer.run(lambda: any(one.what.entries == number + 1 for one in peer.heard(Learned)), "the word of it")
            log.known = number + 1
        assert all(one.what.word == 0 for one in peer.heard(Learned))
        # To what was never there it does not refer.
        met.check_arrive([log.recall(b"nothing", 8, 0, 1).encode()], [])
        peer.run(lambda: peer.heard(Learned)[-1].what.word == 1, "the word that there is none")


def test_the_gateway_reads_the_short_form_and_takes_what_is_told_in_it(lab):
    with referring(lab, BRIEF) as (ours, peer, device):
        met, log = Met(ours, peer, device), Log(9)
        for number in range(20):
            packet = (udp, tcp)[number % 2](*V4, message(number))
            told = Learned(0, 200, 3, number, bytes(range(number)))
            base = log.known % 256 if log.known else None
            unit, entry = log.recall_briefly(encode([Member(packet)]), 7, number, base, told if number % 3 else None)
            met.check_arrive([unit.encode()], [packet])
            log.learn(entry, number)
            peer.run(lambda: any(one.entries == number + 1 for one in words(peer)), "the word of it")
            log.known = number + 1
        # What is told of a dictionary that never was makes no harm; nor do numbers that can't be there.
        unit, _ = log.recall_briefly(encode([Member(packet)]), 7, 99, log.known % 256)
        garbled = bytearray(unit._replace(told=Learned(0, 7, 9, 1, b"1")).encode())
        whole = 4 + int.from_bytes(garbled[2:4], "little")
        garbled[whole - 1] = 200
        met.check_arrive([bytes(garbled)], [], {"malformed": 1})
        met.check_arrive([unit.encode()], [packet])


def words(peer):
    """What the gateway has said of what it learned, by itself or with units."""
    return ([entry.what for entry in peer.heard(Learned)]
            + [entry.what.told for entry in peer.heard(Recall) if entry.what.told])


def test_the_gateway_reads_a_stream(lab):
    with referring(lab) as (ours, peer, device):
        met, stream = Met(ours, peer, device), OutgoingStream(3, 77, 18)
        peer.send(stream.question.encode())
        peer.run(lambda: [one.what for one in peer.heard(History)] == [stream.question._replace(word=1)], "opened")
        packets = [tcp(*V4, message(number) * 3, sequence=1000 * number) for number in range(20)]
        units = [stream.unit(encode([Member(packet)])).encode() for packet in packets]
        met.check_arrive(units, packets)
        assert len(units[-1]) < len(units[0]) and isinstance(stream.unit(b"x"), Stream)


@contextlib.contextmanager
def referring(lab, own=HISTORIES):
    with far_end(lab, compression="auto", lines=REFERS, own=own) as (ours, peer):
        meet(lab, peer)
        with Tap(lab.a.gateway, lab.a.name, outgoing=False, wanted=bound_for(NOWHERE[0])) as device:
            yield ours, peer, device
