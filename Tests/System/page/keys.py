"""KEYS (§3.15), to bytes and back."""

import struct
from typing import NamedTuple

from .framing import record
from .wrong import require

KEYS = 0x1F
_FIELDS, _NUMBER = struct.Struct("<IQ"), struct.Struct("<Q")


class Offer(NamedTuple):
    """An encapsulation key."""

    exchange: int
    base: int
    """The number of the key to build on, or 0."""
    key: bytes

    @property
    def body(self):
        return _FIELDS.pack(self.exchange, self.base) + self.key

    def encode(self):
        return record(KEYS, 0, self.body)


class Reply(NamedTuple):
    """The ciphertext for an offer."""

    exchange: int
    base: int
    """The number of the key that was built on, the offered one or 0."""
    ciphertext: bytes

    @property
    def body(self):
        return _FIELDS.pack(self.exchange, self.base) + self.ciphertext

    def encode(self):
        return record(KEYS, 1, self.body)


class Question(NamedTuple):
    """Has the receiver the key of this number, too?"""

    number: int

    def encode(self):
        return record(KEYS, 2, _NUMBER.pack(self.number))


class Answer(NamedTuple):
    """The same number, or 0."""

    number: int

    def encode(self):
        return record(KEYS, 3, _NUMBER.pack(self.number))


_KINDS = [(Offer, _FIELDS, 1184), (Reply, _FIELDS, 1088), (Question, _NUMBER, 0), (Answer, _NUMBER, 0)]
"""By the parameter; the bytes of the key or the ciphertext behind the numbers."""


def decode(parameter, body):
    require(parameter < len(_KINDS), "KEYS of an unknown kind")
    kind, head, rest = _KINDS[parameter]
    require(len(body) == head.size + rest, "KEYS of another length")
    return kind(*head.unpack_from(body), *([body[head.size:]] if rest else []))
