"""A gateway and the Python end that have met: what this one sends is compared with what comes out of the device."""

import contextlib
import os
import random
import time

from lab import all_drops, wait_until

from . import members
from .codecs import DEFLATE
from .members import MOST, Member
from .packets import udp
from .records import BUNDLE, MEMBERS, Hello, Ping, record, unit

V4 = bytes([10, 2, 0, 2]), bytes([198, 51, 100, 2])
V6 = bytes.fromhex("fd010002000000000000000000000002"), bytes.fromhex("20010db8007700000000000000000002")
NOWHERE = ["198.51.100.0/24", "2001:db8:77::/64"]
"""Where gateway A sends packets from the tunnel: to nobody, who is silent."""
_SIZE = 1380
"""Bytes of a record that fits into one datagram."""
_LIFETIME = 60
"""Seconds of a session here."""


class Met:
    """began: where the session begins in the transcript of the Python end."""

    def __init__(self, ours, peer, device):
        self.ours, self.peer, self.device = ours, peer, device
        self.began, self._until, self._numbers = 0, time.monotonic() + _LIFETIME, iter(range(10**6))

    def renew(self):
        """Makes a new session if this one grows old."""
        if time.monotonic() > self._until:
            self.began, self._until = len(self.peer.transcript), time.monotonic() + _LIFETIME
            self.peer.connect()
            self.peer.run(lambda: self.peer.heard(Hello, self.began), "HELLO")
            self.peer.listen(0.2)

    def check_arrive(self, payloads, packets, drops=(), ecn=0, order=None):
        """Sends the payloads; just these packets come out, and just these drops are counted.

        order: the places of the payloads in which the network brings them.
        """
        before = self.drops()
        self.device.read()
        if order is not None:
            self.peer.send_in(order, payloads)
        else:
            for one in payloads:
                self.peer.send(one, ecn)
        arrived = self.device.read_until(len(packets))
        assert [one.hex() for one in arrived] == [one.hex() for one in packets]
        with contextlib.suppress(AssertionError):
            wait_until(lambda: counted(before, self.drops()) == dict(drops), "the drops", 2)
        assert counted(before, self.drops()) == dict(drops)

    def check_alive(self):
        """The session is as it was: a unit and a bundle of a few packets arrive, and a ping is answered."""
        some = [udp(*V4, b"still here" * 20, identification=n) for n in range(5)]
        self.check_arrive([bundle(some[:3]), units(some)], some[:3] + some)
        token, since = os.urandom(8), len(self.peer.transcript)
        self.peer.send(Ping(token).encode())
        self.peer.run(lambda: Ping(token, True) in [e.what for e in self.peer.heard(Ping, since)], "the answer")

    def drops(self):
        """But for what the kernel says on its own, and units of which pieces are missing: those are given up at some time."""
        return {reason: count for reason, count in all_drops(self.ours.stats()).items()
                if reason not in ("noPeer", "multicast", "incomplete")}

    def number(self):
        """The next one of a unit in fragments."""
        return next(self._numbers) % 2**16


def many():
    """Some packets that follow each other, and a UNIT of them that fills a few datagrams."""
    chance = random.Random(os.urandom(8))
    some = [udp(*V4, chance.randbytes(400 + n), identification=n) for n in range(chance.randrange(10, 16))]
    return some, units(some)


def units(packets, codec=DEFLATE):
    return unit(members.encode(map(Member, packets)), parameter=codec | MEMBERS)


def bundle(packets):
    return record(BUNDLE, 0, members.encode(map(Member, packets)))


def encoded(pieces):
    return [piece.encode() for piece in pieces]


def numbered(ends, number):
    """The identification, where there is one."""
    return {"identification": number} if len(ends[0]) == 4 else {}


def counted(before, after):
    return {reason: count - before[reason] for reason, count in after.items() if count != before[reason]}


def coded(some, codec, like):
    data = members.encode(some, like)
    return record(BUNDLE, 0, data) if codec is None else unit(data, parameter=codec | MEMBERS)


def fitting(some, encode):
    """The members in groups, each of which one record holds."""
    group = []
    for member in some:
        more = group + [member]
        if group and (sum(one.count for one in more) > MOST or len(encode(more)) > _SIZE):
            yield group
            more = [member]
        group = more
    yield group
