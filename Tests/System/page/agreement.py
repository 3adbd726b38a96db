"""A preshared key that both ends agree on (§3.15, §7), for one peer, without socket and clock.

Nothing is said twice by itself: who wants an answer again asks again.
"""

import os
from typing import NamedTuple

from kyber_py.ml_kem import ML_KEM_768

from .keys import Answer, Offer, Question, Reply
from .noise import blake2s, kdf

LABEL = b"gateway v1 ml-kem-768"
_PATIENCE, _MOST = 4, 3


class Steps(NamedTuple):
    """What the key is made from, one after the other (§7.2)."""

    chain: list
    """c0 to c6."""
    key: bytes
    n: bytes

    @property
    def number(self):
        return int.from_bytes(self.n[:8], "little")


def derive(secret, hash, initiator, responder, offer, reply, configured, base):
    """secret: that of ML-KEM. hash: of the handshake. offer, reply: the bodies of both records. configured, base: keys, or 32 zeros."""
    chain = [blake2s(LABEL, hash)]
    for part in (initiator, responder, offer, reply):
        chain.append(blake2s(chain[-1], part))
    for key in (configured, base):
        chain += kdf(chain[-1], key, 1)
    return Steps(chain, *kdf(chain[-1], secret, 2))


class Agreement:
    """keys: those of this end. begins: whether it begins on a session that it made."""

    def __init__(self, keys, begins=True):
        self._keys, self.begins = keys, begins
        self.agreed = {}
        """Keys by their numbers, the newest last."""
        self._shared, self._offered, self._asked, self._replies, self._answer = set(), None, None, {}, None
        self.spoil = lambda ciphertext: ciphertext
        """What is sent in the place of a ciphertext."""

    def forget(self):
        """As if this end had begun anew."""
        self.__init__(self._keys, self.begins)

    @property
    def newest(self):
        return next(reversed(self.agreed), None)

    # Handshakes (§7.1)

    @property
    def candidates(self):
        """The secrets that a response may be made with."""
        return [*reversed(self.agreed.values())][:_MOST] + [self._keys.preshared]

    def choose(self, now):
        """The secret to answer an initiation with."""
        if self._answer and now - self._answer[0] >= _PATIENCE:
            self._shared.clear()
        secret = next((key for number, key in reversed(self.agreed.items()) if number in self._shared), None)
        self._answer = (now, secret) if secret else None
        return secret or self._keys.preshared

    def note_session(self, session):
        """Something came on a session, or a response made it: those before its key are forgotten."""
        if self._answer and session.preshared == self._answer[1]:
            self._answer = None
        if session.preshared in self.agreed.values():
            while next(iter(self.agreed.values())) != session.preshared:
                del self.agreed[next(iter(self.agreed))]
            self._shared.add(next(iter(self.agreed)))

    # Records (§3.15)

    def greet(self, session):
        """The other end takes KEYS on a session: what is to be said to that."""
        if not session.begun or not self.begins:
            return []
        if self.newest is None:
            return [self.offer()]
        if self.agreed[self.newest] == session.preshared:
            return []
        return [self._ask(self.newest)]

    def hear(self, what, session):
        """What is to be said to a record, and whether a session is to be made with the new key."""
        if isinstance(what, Offer) and not session.begun:
            return [self._reply(what, session)], False
        if isinstance(what, Reply) and self._offered and self._offered[0].exchange == what.exchange:
            return [self._open(what, session)], False
        if isinstance(what, Question):
            held = what.number in self.agreed
            self._shared |= {what.number} if held else set()
            return [Answer(what.number if held else 0)], False
        if isinstance(what, Answer) and self._asked is not None and what.number in (0, self._asked):
            return self._hear_answer(what.number, session)
        return [], False

    def offer(self):
        base = next((number for number in reversed(self.agreed) if number in self._shared), 0)
        key, secret = ML_KEM_768.keygen()
        self._offered = Offer(int.from_bytes(os.urandom(4), "little"), base, key), secret
        return self._offered[0]

    def _reply(self, offer, session):
        if offer.exchange not in self._replies:
            secret, ciphertext = ML_KEM_768.encaps(offer.key)
            reply = Reply(offer.exchange, offer.base if offer.base in self.agreed else 0, ciphertext)
            self._add(derive(secret, session.hash, self._keys.peer, self._keys.public, offer.body, reply.body,
                             self._keys.preshared, self.agreed.get(reply.base, bytes(32))))
            self._replies = {offer.exchange: reply._replace(ciphertext=self.spoil(ciphertext))}
        return self._replies[offer.exchange]

    def _open(self, reply, session):
        (offer, key), self._offered = self._offered, None
        return self._ask(self._add(derive(
            ML_KEM_768.decaps(key, reply.ciphertext), session.hash, self._keys.public, self._keys.peer, offer.body, reply.body,
            self._keys.preshared, self.agreed.get(reply.base, bytes(32)))))

    def _ask(self, number):
        self._asked = number
        return Question(number)

    def _hear_answer(self, number, session):
        asked, self._asked = self._asked, None
        if number:
            self._shared.add(number)
            return [], session.preshared != self.agreed[number]
        self.agreed.pop(asked, None)
        return self.greet(session), False

    def _add(self, steps):
        self.agreed[steps.number] = steps.key
        return steps.number
