"""Two ends made from the page, without a gateway."""

import contextlib
import random
import socket
import struct
import threading

import pytest

from . import noise, records
from .echo import echo_reply, echo_request
from .hello import Greeting
from .malformed import malformed
from .noise import Initiation, Keys, respond
from .packets import udp
from .peer import Peer
from .primitives import Forged, extended, seal, x25519
from .records import EVERYTHING, Bundle, Fragment, Hello, Ping, Report, Unit, decode, option, record, unit
from .wrong import Malformed

pytestmark = pytest.mark.fast

OWN = EVERYTHING
PACKET = echo_request(bytes([10, 2, 0, 2]), bytes([10, 1, 0, 2]), b"abcd" * 250)


def test_the_same_preshared_key_makes_a_session_and_another_none():
    a, b = keys()
    initiation, other = Initiation(a, 7), Initiation(a._replace(preshared=bytes(32)), 9)
    response, theirs = respond(b, initiation.datagram, 8)
    assert theirs.open(initiation.finish(response).seal(PACKET)) == PACKET
    with pytest.raises(Forged):
        other.finish(respond(b, other.datagram, 8)[0])


def test_a_cookie_reply_gives_its_cookie():
    (a, b), cookie, nonce = keys(), bytes(16), bytes(24)
    initiation = Initiation(a, 7)
    key = noise.blake2s(b"cookie--", b.public)
    reply = struct.pack("<II", 3, 7) + nonce + seal(*extended(key, nonce), cookie, initiation.datagram[116:132])
    assert len(reply) == 64 and initiation.cookie(reply) == cookie
    assert any(Initiation(a, 9, cookie).datagram[-16:])


@pytest.mark.parametrize("lost", [None, 0, 1, 2])
def test_hellos_are_exchanged_as_drawn_and_whichever_is_lost_both_ends_fall_silent(lost):
    ends, said, now = (Greeting(OWN), Greeting(OWN)), [], 0.0
    flying = [(1, ends[0].begin(now))]
    while now < 60:
        for to, hello in flying:
            said.append((hello.seen, hello.asks))
            if len(said) - 1 != lost and (answer := ends[to].hear_hello(hello, now)):
                flying.append((1 - to, answer))
        now += 0.05
        flying = [(1 - n, hello) for n, end in enumerate(ends) if (hello := end.repeat(now))]
    assert all(end.peer for end in ends) and len(said) <= 8
    assert lost is not None or said == [(False, True), (True, True), (True, False)]


def test_a_hello_without_answer_is_repeated_less_and_less_and_later_only_beside_data():
    end, now, at = Greeting(OWN), 0.0, []
    end.begin(0)
    while now < 60:
        now += 0.01
        if now > 30 and len(at) == 4:
            end.send_data()
        if end.repeat(now):
            at.append(now)
    assert at == pytest.approx([0.25, 0.75, 1.75, 3.75, 30], abs=0.1)


def test_records_come_back_as_they_were():
    hello = Hello(frozenset([1, 9]), 1500, True, True, records=frozenset([0x12, 0x15]))
    assert decode(hello.encode(), OWN) == hello
    assert decode(unit(PACKET), OWN).packet == PACKET == decode(records.padded(PACKET), OWN)
    newer = record(records.HELLO, 7, b"\xff" + option(200, b"new") + option(records.CODECS, b"\1\2"))
    assert decode(newer, OWN) == Hello(frozenset([1, 2]), 65_535, True, True, 7)


@pytest.mark.parametrize("what", malformed(PACKET))
def test_dropped_is(what):
    with pytest.raises(Malformed):
        decode(malformed(PACKET)[what], OWN)


@pytest.mark.parametrize("announced", [Hello(frozenset()), Hello(maximum_unit=len(PACKET) - 1)])
def test_dropped_is_what_was_not_announced(announced):
    with pytest.raises(Malformed):
        decode(unit(PACKET), announced)


def test_two_ends_answer_each_other_over_the_loopback():
    with two_ends(Hello()) as (asking, answering):
        asking.send_packets(PACKET)
        (answer,) = asking.run(lambda: asking.heard(Unit), "the answer")
    assert answer.what.packet == echo_reply(PACKET)
    assert [type(e.what) for e in answering.transcript if not e.sent] == [Hello, Hello, Unit]


def test_two_ends_that_take_everything_use_all_of_it():
    chance = random.Random(1)
    ends = bytes([10, 2, 0, 2]), bytes([10, 1, 0, 2])
    small = [udp(*ends, chance.randbytes(60), identification=n) for n in range(40)]
    texts = [udp(*ends, b"much of the same " * 60, identification=n, ecn=2) for n in range(40)]
    large = [udp(*ends, chance.randbytes(500).hex().encode(), identification=n) for n in range(200)]
    sent = small + texts + large
    with two_ends(EVERYTHING) as (asking, answering):
        asking.send_packets(*sent)
        asking.run(lambda: asking.trips and asking.heard(Report), "a report, and the answer to a PING")
    assert answering.packets() == sent
    assert {type(e.what) for e in answering.heard(object)} == {Hello, Unit, Bundle, Fragment, Ping}
    assert {e.traffic_class for e in answering.heard((Unit, Bundle)) if e.size} == {0, 2}


@contextlib.contextmanager
def two_ends(own, seconds=1):
    """Two ends that have met, the second of which serves for a while."""
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        a, b = keys()
        asking, answering = Peer(one, a, other.getsockname(), own), Peer(other, b, own=own)
        thread = threading.Thread(target=answering.listen, args=(seconds,))
        thread.start()
        asking.connect()
        asking.run(lambda: asking.heard(Hello), "HELLO")
        yield asking, answering
        thread.join()


def keys():
    a, b, preshared = bytes(range(32)), bytes(range(1, 33)), bytes(range(2, 34))
    return Keys(a, x25519(b), preshared), Keys(b, x25519(a), preshared)
