"""KEYS and the key that comes of them (§3.15, §7), between two ends made from the page."""

import pytest

from . import noise
from .agreement import Agreement
from .fragments import Assembly, fragments
from .keys import KEYS, Answer, Offer, Question, Reply
from .noise import Initiation, respond
from .records import AGREES, decode, record
from .test_two_ends import keys
from .wrong import Malformed

pytestmark = pytest.mark.fast

EXCHANGE = [Offer, Reply, Question, Answer]


def test_two_ends_come_to_one_key_and_the_next_is_built_on_it():
    ends = Two()
    assert ends.exchange() == EXCHANGE
    first = ends.key()
    ends.renew()
    assert {session.preshared for session in ends.sessions} == {first}
    assert ends.say([ends.begins.offer()]) == EXCHANGE and ends.key() != first
    assert ends.begins._replies == {} and next(iter(ends.answers._replies.values())).base != 0


def test_a_garbled_ciphertext_leads_to_no_key_and_the_exchange_begins_again():
    ends = Two()
    ends.answers.spoil = garbling(1)
    assert ends.exchange() == EXCHANGE * 2
    assert len(ends.begins.agreed) == 1 and ends.key()


def test_whoever_lost_the_key_is_answered_with_the_configured_one_the_second_time():
    ends = Two()
    ends.exchange()
    first = ends.key()
    ends.renew()
    ends.begins.forget()
    with pytest.raises(noise.Forged):
        ends.renew(now=200)
    ends.renew(now=205)
    assert {session.preshared for session in ends.sessions} == {ends.keys[0].preshared}
    assert ends.exchange() == EXCHANGE and ends.key() != first


def test_the_pieces_of_keys_are_put_together_again():
    offer = Offer(7, 9, bytes(range(32)) * 37)
    assembly = Assembly()
    for piece in fragments(3, offer.encode(), 3):
        whole = assembly.take(piece, piece.index, False, 0)
    assert decode(whole[0], AGREES) == offer


@pytest.mark.parametrize("parameter, length", [
    (0, 0), (0, 1195), (0, 1197), (1, 1099), (1, 1101), (2, 7), (2, 9), (3, 0), (3, 12), (4, 8)])
def test_keys_of_another_length_or_kind_are_malformed(parameter, length):
    with pytest.raises(Malformed):
        decode(record(KEYS, parameter, bytes(length)), AGREES)


class Two:
    """Two agreements and the sessions of a handshake between them, of which the first made it."""

    def __init__(self):
        self.keys = keys()
        self.begins, self.answers = map(Agreement, self.keys)
        self.renew()

    def renew(self, now=0):
        initiation = Initiation(self.keys[0], 7)
        response, answered = respond(self.keys[1], initiation.datagram, 8, self.answers.choose(now))
        self.sessions = initiation.finish(response, self.begins.candidates), answered
        for end, session in zip((self.begins, self.answers), self.sessions):
            end.note_session(session)

    def exchange(self, most=20):
        """What the first end has to say on the session, and all that follows."""
        return self.say(self.begins.greet(self.sessions[0]), most)

    def say(self, flying, most=20):
        said, ends = [], [(self.answers, self.sessions[1]), (self.begins, self.sessions[0])]
        while flying and len(said) < most:
            said += map(type, flying)
            (end, session), answers = ends[0], []
            for one in flying:
                answers += end.hear(decode(one.encode(), AGREES), session)[0]
            flying, ends = answers, ends[::-1]
        return said

    def key(self):
        """The newest, which both have."""
        newest = self.begins.newest
        assert newest == self.answers.newest and self.begins.agreed[newest] == self.answers.agreed[newest]
        return self.begins.agreed[newest]


def garbling(count):
    """Changes a bit of the first ciphertexts."""
    left = iter(range(count))
    return lambda ciphertext: ciphertext if next(left, None) is None else bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
