"""The exchange of keys as docs/protocol.md says (§3.15, §7), with an end that has ML-KEM from elsewhere (kyber-py)."""

import contextlib

import pytest

from lab import Lab, all_drops
from page.echo import echo_request
from page.far_end import ROLES, far_end, meet, ping
from page.keys import KEYS, Answer, Offer, Question, Reply
from page.records import AGREES, PING, Fragment, record
from page.test_keys import garbling

PACKET = echo_request(bytes([10, 2, 0, 2]), bytes([10, 1, 0, 2]), b"abcd" * 80)
TEXT = ("-s", "1200", "-p", "6162636465666768")
PREFER = ("#: PostQuantum = prefer",)
BOTH, CLASSIC = "x25519+mlkem768", "x25519"
EXCHANGE = [Offer, Reply, Question, Answer]


@pytest.fixture(scope="module")
def lab():
    with Lab(ipv6=False) as lab:
        yield lab


@pytest.mark.fast
@pytest.mark.parametrize("role", ROLES)
def test_whoever_begins_both_come_to_one_key_and_the_next_session_is_made_with_it(lab, role):
    with far_end(lab, role, lines=PREFER, own=AGREES) as (ours, peer):
        meet_and_agree(lab, ours, peer)
        assert said(peer) == [(role == "initiator" if kind in (Offer, Question) else role != "initiator", kind) for kind in EXCHANGE]
        check_packets_pass(lab, peer)
        assert ours.peer()["keyExchangeAge"] < 60 and sum(all_drops(ours.stats()).values()) == 0


@pytest.mark.parametrize("role", ROLES)
def test_the_same_in_fragments(lab, role):
    # Without PING the daemon does not learn that the path takes more than its MTU says.
    own = AGREES._replace(records=AGREES.records - {PING})
    with far_end(lab, role, lines=PREFER, interface=("MTU = 600",), own=own) as (ours, peer):
        peer.pieces = 2
        meet_and_agree(lab, ours, peer)
        assert len(peer.heard(Fragment)) >= 2 and max(entry.size for entry in peer.heard(object)) <= 600 + 32
        check_packets_pass(lab, peer, "-s", "400")


@pytest.mark.parametrize("role", ROLES)
def test_with_require_nothing_passes_before_and_everything_after(lab, role):
    with far_end(lab, role, lines=("#: PostQuantum = require",), own=AGREES) as (ours, peer):
        meet_and_agree(lab, ours, peer)
        check_packets_pass(lab, peer)
        for entry in peer.heard(bytes):
            assert entry.at > next(e.at for e in peer.transcript if isinstance(e.what, Answer))


def test_a_key_is_built_on_the_one_before(lab):
    with far_end(lab, "initiator", lines=PREFER, own=AGREES) as (ours, peer):
        meet_and_agree(lab, ours, peer)
        first, since = peer.session.preshared, len(peer.transcript)
        offer = peer.agreement.offer()
        peer.send(offer.encode())
        peer.run(lambda: peer.session.preshared not in (first, peer.keys.preshared), "a session with another key")
        (reply,) = [entry.what for entry in peer.heard(Reply, since)]
        assert offer.base == reply.base != 0
        check_packets_pass(lab, peer)


def test_a_garbled_ciphertext_leads_to_no_key_and_another_exchange_does(lab):
    with far_end(lab, "responder", lines=PREFER, own=AGREES) as (ours, peer):
        peer.agreement.spoil = garbling(1)
        meet_and_agree(lab, ours, peer)
        answers = [entry.what.number for entry in peer.transcript if isinstance(entry.what, Answer)]
        assert answers[0] == 0 != answers[1] and [kind for _, kind in said(peer)] == EXCHANGE * 2
        check_packets_pass(lab, peer)


NOT_REDUCED = Offer(1, 0, bytes([0xFF] * 1152) + bytes(32)).encode()
BAD = {
    "an encapsulation key that is not reduced": NOT_REDUCED,
    "a ciphertext that nothing waits for": Reply(1, 0, bytes(1088)).encode(),
    "an answer that nothing waits for": Answer(1).encode(),
    **{f"KEYS of kind {kind} and {size} bytes": record(KEYS, kind, bytes(size))
       for kind, size in [(0, 0), (0, 1195), (0, 1197), (1, 1099), (1, 1101), (2, 7), (3, 9), (4, 8)]},
}


@pytest.fixture(scope="module")
def agreed():
    """The gateway and the Python end in a lab of their own, with a key that both have."""
    with Lab(ipv6=False) as lab, far_end(lab, "initiator", lines=PREFER, own=AGREES) as (ours, peer):
        meet_and_agree(lab, ours, peer)
        yield lab, ours, peer


@pytest.mark.fast
@pytest.mark.parametrize("what", BAD)
def test_dropped_and_counted_is(agreed, what):
    lab, ours, peer = agreed
    before, since = all_drops(ours.stats())["malformed"], len(peer.transcript)
    peer.send(BAD[what])
    peer.run(lambda: all_drops(ours.stats())["malformed"] == before + 1, "the drop to be counted")
    assert not peer.heard((Offer, Reply, Question, Answer), since)
    check_packets_pass(lab, peer)
    assert exchange(ours) == BOTH


def test_a_responder_that_lost_the_key_is_taken_back_at_once(lab):
    with far_end(lab, "responder", lines=PREFER, own=AGREES) as (ours, peer):
        meet_and_agree(lab, ours, peer)
        forgotten = peer.session.preshared
        peer.agreement.forget()
        with contextlib.suppress(AssertionError):
            # As the initiator once: the daemon still answers with that key, which does not open.
            peer.connect(timeout=5.2)
        assert peer.session.preshared == forgotten
        peer.connect()
        assert peer.session.preshared == peer.keys.preshared
        check_packets_pass(lab, peer)
        meet_and_agree(lab, ours, peer)
        assert peer.session.preshared not in (forgotten, peer.keys.preshared)
        check_packets_pass(lab, peer)


def test_a_daemon_that_lost_the_key_is_answered_with_the_configured_one(lab):
    with far_end(lab, "responder", lines=PREFER, own=AGREES) as (ours, peer):
        meet_and_agree(lab, ours, peer)
        forgotten = peer.session.preshared
        ours.process.kill()
        ours.process.wait()
        ours.start()
        peer.run(lambda: ping(lab, peer), "a ping comes back", timeout=30)
        meet_and_agree(lab, ours, peer)
        assert peer.session.preshared not in (forgotten, peer.keys.preshared)


def exchange(ours):
    return ours.peer().get("keyExchange")


def meet_and_agree(lab, ours, peer):
    """Both ends say that they have met and use a key that they agreed on."""
    meet(lab, peer)
    peer.run(lambda: peer.agreement.agreed and peer.session.preshared in peer.agreement.agreed.values(), "a session with the key")
    peer.run(lambda: exchange(ours) == BOTH, "the daemon says so, too")


def said(peer):
    """Of KEYS, whether this end sent it, and what it was."""
    return [(entry.sent, type(entry.what)) for entry in peer.transcript if isinstance(entry.what, (Offer, Reply, Question, Answer))]


def check_packets_pass(lab, peer, *options):
    """Both ways."""
    assert ping(lab, peer, *(options or TEXT))
    since = len(peer.transcript)
    peer.send_packets(PACKET)
    peer.run(lambda: peer.packets(since), "the answer to a ping")
