"""The gateway speaks as docs/protocol.md says: its far end is written from that page alone, in another language."""

import contextlib

import pytest

from lab import Lab, WireGuardGo, all_drops
from page import records
from page.echo import echo_request
from page.far_end import ROLES, far_end, hellos, meet, ping
from page.malformed import malformed
from page.records import CONFIRM, EVERYTHING, Confirm, Hello, Unit, digest
from page.wrong import Malformed

PACKET = echo_request(bytes([10, 2, 0, 2]), bytes([10, 1, 0, 2]), b"abcd" * 250)
"""A ping from host B to host A."""
TEXT = ("-s", "1200", "-p", "6162636465666768")
"""A ping with as much in it as is worth compressing."""


@pytest.fixture(scope="module")
def lab():
    with Lab(ipv6=False) as lab:
        yield lab


@pytest.fixture(scope="module")
def met():
    """The gateway and the Python end in a lab of their own, after the exchange of HELLOs."""
    with Lab(ipv6=False) as lab, far_end(lab, "initiator") as (ours, peer):
        meet(lab, peer)
        yield ours, peer


@pytest.mark.fast
@pytest.mark.parametrize("role", ROLES)
def test_wireguard_go_takes_the_python_end_for_one_of_its_kind(lab, role):
    with far_end(lab, role, WireGuardGo) as (theirs, peer):
        assert ping(lab, peer, *TEXT)
        assert theirs.has_handshake() and peer.heard(bytes) and not peer.heard((Hello, Unit, Malformed))


@pytest.mark.fast
@pytest.mark.parametrize("role", ROLES)
def test_hellos_are_exchanged_as_drawn_and_then_units_go_both_ways(lab, role):
    with far_end(lab, role) as (ours, peer):
        meet(lab, peer)
        assert hellos(peer) == [
            (role == "initiator", False, True), (role == "responder", True, True), (role == "initiator", True, False)]
        assert isinstance(next(e.what for e in peer.transcript if not e.sent), Hello), "something came before HELLO"
        before = len(peer.transcript)
        assert ping(lab, peer, *TEXT, count=3)
        peer.listen(3)
        since = peer.transcript[before:]
        assert [(e.sent, type(e.what)) for e in since] == [(False, Unit), (True, Unit)] * 3, since
        assert all(len(e.what.packet) == 1228 and e.what.size < 256 for e in since)
        assert sum(all_drops(ours.stats()).values()) == 0


@pytest.mark.parametrize("role", ROLES)
def test_a_peer_that_says_no_hello_is_asked_less_and_less_and_gets_plain_packets_only(lab, role):
    with far_end(lab, role, greets=False) as (_, peer):
        assert ping(lab, peer, *TEXT)
        peer.listen(7)
        assert ping(lab, peer, *TEXT)
        times = [e.at for e in peer.heard(Hello)]
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        assert gaps == pytest.approx([0.25, 0.5, 1, 2], rel=0.2, abs=0.15)
        assert {(e.what.seen, e.what.asks) for e in peer.heard(Hello)} == {(False, True)}
        assert len(peer.heard(bytes)) == 2 and not peer.heard((Unit, Malformed))


@pytest.mark.slow
def test_a_peer_that_says_no_hello_is_asked_every_fifteen_seconds_beside_data(lab):
    with far_end(lab, "initiator", greets=False) as (_, peer):
        assert ping(lab, peer, count=35)
        peer.listen(16)
        times = [e.at for e in peer.heard(Hello)]
        assert len(times) in (7, 8) and 14 < times[5] - times[4] < 17 and 14 < times[6] - times[5] < 17


def test_a_peer_silent_for_three_sessions_is_asked_once_a_session(lab):
    with far_end(lab, "initiator", greets=False) as (_, peer):
        for _ in range(2):
            peer.listen(1)
            peer.connect()
        peer.listen(1)
        before = len(peer.heard(Hello))
        peer.connect()
        peer.listen(3)
        assert len(peer.heard(Hello)) == before + 1


def test_a_hello_that_asks_is_answered_once_and_one_that_does_not_is_not(met):
    _, peer = met
    for asks in (True, False):
        before = len(peer.heard(Hello))
        peer.send(peer.own._replace(seen=True, asks=asks).encode())
        peer.listen(0.5)
        assert [(e.what.seen, e.what.asks) for e in peer.heard(Hello)[before:]] == [(True, False)] * asks


def test_a_newer_hello_with_unknown_flags_and_options_is_understood(lab):
    with far_end(lab, "initiator", greets=False) as (ours, peer):
        options = records.option(200, b"new") + records.option(records.CODECS, b"\x63\1\0") + records.option(0, b"")
        peer.send(records.record(records.HELLO, 9, b"\xff" + options))
        peer.listen(0.5)
        assert peer.heard(Hello)[-1].what[2:4] == (True, False)
        assert ping(lab, peer, *TEXT)
        assert peer.heard(Unit) and sum(all_drops(ours.stats()).values()) == 0


@pytest.mark.fast
def test_on_a_later_session_a_few_bytes_stand_for_hello(lab):
    with confirming(lab) as (ours, peer, theirs):
        before = len(peer.transcript)
        peer.connect(hello=False)
        peer.send(Confirm(digest(peer.own.encode())).encode(PACKET))
        (answer,) = peer.run(lambda: peer.heard(bytes, before), "the answer to a ping")
        assert Confirm.behind(answer.payload) == Confirm(theirs, seen=True)
        peer.send(PACKET)
        assert peer.run(lambda: peer.heard(Unit, before), "another, compressed")
        assert not peer.heard((Hello, Malformed), before) and sum(all_drops(ours.stats()).values()) == 0


@pytest.mark.alone
@pytest.mark.fast
@pytest.mark.parametrize("behind", [b"", Confirm(1).encode()], ids=["nothing", "another digest"])
def test_a_peer_that_does_not_confirm_is_sent_hello_and_plain_packets(lab, behind):
    with confirming(lab) as (ours, peer, _):
        for _ in range(5):
            before = len(peer.transcript)
            peer.connect(hello=False)
            peer.send(records.padded(PACKET + behind))
            peer.run(lambda: peer.heard((bytes, Unit), before), "the answer to a ping")
            # A host that is slow answers when this end has said HELLO, since it was asked to: then a unit is right.
            if peer.heard(bytes, before):
                break
        (answer,) = peer.heard(bytes, before)
        assert Confirm.behind(answer.payload) is None
        assert [(e.what.seen, e.what.asks) for e in peer.heard(Hello, before)][:1] == [(False, True)]
        assert not peer.heard((Unit, Malformed), before) and sum(all_drops(ours.stats()).values()) == 0


@contextlib.contextmanager
def confirming(lab):
    """The gateway, a Python end that takes CONFIRM and has met it, and the digest of the gateway's HELLO."""
    own = EVERYTHING._replace(records=EVERYTHING.records | {CONFIRM})
    with far_end(lab, "initiator", own=own) as (ours, peer):
        meet(lab, peer)
        assert hellos(peer) == [(True, False, True), (False, True, False)]
        yield ours, peer, digest(peer.heard(Hello)[0].payload)


@pytest.mark.fast
@pytest.mark.parametrize("codecs, maximum", [([], 65_535), ([99], 65_535), ([1], 1227)])
def test_an_end_is_sent_only_what_it_announced(lab, codecs, maximum):
    with far_end(lab, "initiator", own=Hello(frozenset(codecs), maximum)) as (_, peer):
        meet(lab, peer)
        assert ping(lab, peer, *TEXT)
        assert len(peer.heard(bytes)) == 1 and not peer.heard(Unit)


@pytest.mark.fast
@pytest.mark.parametrize("what", malformed(PACKET))
def test_dropped_and_counted_is(met, what):
    check_dropped(*met, malformed(PACKET)[what])


def test_dropped_and_counted_is_a_source_that_is_not_allowed_in_a_unit(met):
    check_dropped(*met, records.unit(echo_request(b"\x0a\3\0\2", PACKET[16:20], PACKET[28:])))


def check_dropped(ours, peer, payload):
    """What holds a ping that would be answered if it passed. Afterwards the session is as it was."""
    before, heard = sum(all_drops(ours.stats()).values()), len(peer.transcript)
    peer.send(payload)
    peer.run(lambda: sum(all_drops(ours.stats()).values()) == before + 1, "the drop to be counted")
    peer.send(records.unit(PACKET))
    peer.run(lambda: len(peer.transcript) > heard + 2, "the answer to a unit that is right")
    peer.listen(0.1)
    (answer,) = [e.what for e in peer.transcript[heard + 1:] if not e.sent]
    assert isinstance(answer, Unit) and answer.packet[28:] == PACKET[28:]
