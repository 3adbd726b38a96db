"""What the gateway sends that is larger than a datagram, held against the page by the Python end."""

import contextlib
import random
import socket

import pytest

from lab import Lab, payload
from lab.small_packets import stopped
from lab.traffic import send_tcp
from page.far_end import far_end, meet, serve
from page.records import EVERYTHING, FRAGMENT, PACKS, Fragment, Pack, Unit
from page.wrong import Malformed

MTU = 9000
LARGEST = 1500 - 28
"""Bytes of the largest datagram on the wire."""
AROUND = 32 + 10
"""Bytes of a transport message and of FRAGMENT's head around a piece."""


@pytest.fixture(scope="module")
def lab():
    with Lab(lan_mtu=MTU) as lab:
        yield lab


@pytest.mark.fast
@pytest.mark.parametrize("compression", ["auto", "receive"])
@pytest.mark.parametrize("size, most", [(MTU, 1.02), (1500, 1.06), (4000, 1.02)])
def test_what_is_larger_than_a_datagram_comes_in_full_pieces_and_in_order(lab, compression, size, most):
    with sending(lab, PACKS, compression) as (ours, peer):
        since, sent = len(peer.transcript), [random.Random(n).randbytes(size - 28) for n in range(120)]
        with stopped(ours):
            send(lab, sent)
        peer.run(lambda: len(peer.packets(since)) == len(sent), "all of them to arrive")
        assert [packet[28:] for packet in peer.packets(since)] == sent
        assert peer.heard(Pack, since) and not peer.heard(Malformed, since)
        pieces = peer.heard(Fragment, since)
        assert max(piece.size for piece in pieces) <= LARGEST
        assert len(pieces) <= len(sent) * size / (LARGEST - AROUND) * most + 1


@pytest.mark.parametrize("own", [EVERYTHING, PACKS._replace(records=PACKS.records - {FRAGMENT})], ids=["no PACK", "no FRAGMENT"])
def test_an_end_that_does_not_take_packs_is_sent_none(lab, own):
    with sending(lab, own, "auto") as (_, peer):
        since = len(peer.transcript)

        def have_come():
            # The host learns what fits, and cuts.
            send(lab, [random.randbytes(3000)])
            peer.listen(0.02)
            return len(peer.packets(since)) >= 10

        peer.run(have_come, "packets to arrive")
        assert not peer.heard((Pack, Malformed), since)


@pytest.mark.fast
@pytest.mark.parametrize("version", ["v4", "v6"])
def test_tcp_of_noise_and_text_arrives_both_ways_through_the_python_end(lab, version):
    with sending(lab, PACKS, "deflate", behind=True) as (_, peer):
        since = len(peer.transcript)
        for data in (payload.random(1 << 19), payload.text(1 << 21)[:1 << 19]):
            serve(peer, lambda: send_tcp(lab.a.host, lab.b.host, getattr(lab.b, version), data))
            serve(peer, lambda: send_tcp(lab.b.host, lab.a.host, getattr(lab.a, version), data))
        entries = peer.transcript[since:]
        assert peer.heard(Pack, since) and peer.heard(Unit, since) and not peer.heard(Malformed, since)
        assert any(entry.sent and isinstance(entry.what, Fragment) for entry in entries)


@contextlib.contextmanager
def sending(lab, own, compression, **options):
    """The gateway, and the Python end after they have met and the path is known."""
    with far_end(lab, own=own, compression=compression, interface=[f"MTU = {MTU}"], **options) as (ours, peer):
        meet(lab, peer)

        def is_known():
            send(lab, [b""])
            peer.listen(0.05)
            return (ours.peer().get("pathMTU") or {}).get("state") == "complete"

        peer.run(is_known, "the path to be known")
        peer.settle()
        yield ours, peer


def send(lab, contents):
    """Datagrams from host A to nobody beyond host B's network."""
    with lab.a.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for content in contents:
            out.sendto(content, (lab.b.v4[:-1] + "77", 9))
