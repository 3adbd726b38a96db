"""What a test does in the place of the Python end's own repair and parity."""

import time

from .choice import ROOM
from .fragments import fragments
from .parity import parities


def leave_out(peer, payload, ecn=0):
    """Seals a payload and keeps it, as if the path had lost it; the entry of the transcript."""
    return peer.seal(peer.line, payload, ecn)


def send_again(peer, *entries):
    """The same datagrams once more."""
    for entry in entries:
        peer.transmit(entry.datagram, entry.traffic_class)


def ask(peer, *ranges, **instead):
    """Sends a RECEIPT that asks for these. instead: fields that say something else."""
    receipt = peer.line.repair.receipt(time.monotonic(), ranges)
    peer.send(receipt._replace(**instead).encode())


def row_payloads(peer, counters, count):
    """So many rows of a block of what was sent with these counters, as payloads for `Peer.send`; each in a list, since it may be
    in fragments.
    """
    for parity in parities(peer.line.repair.sent.of(counters), count):
        whole = parity.encode()
        yield ([whole] if len(whole) <= ROOM else
               [one.encode() for one in fragments(next(peer.line.numbers), whole, 2)])
