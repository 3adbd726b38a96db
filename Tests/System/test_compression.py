"""Text gets smaller, random bytes do not get larger, and only what both ends want happens.

The wire is shaped: on a fast one `auto` may rightly leave everything as it is.
"""

import pytest

from lab import Lab, link, payload
from lab.traffic import send_tcp

pytestmark = pytest.mark.fast

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def lab():
    with Lab(rate="40mbit") as lab:
        yield lab


def test_text_is_less_than_half_on_the_wire(lab):
    with lab.record() as wire, link(lab, compression="auto") as gateways:
        plain, on_the_wire = sent(lab, wire, gateways, payload.text(8 * MEGABYTE))
    assert plain > 8 * MEGABYTE
    assert on_the_wire < plain / 2


def test_random_bytes_cost_no_more_than_plain_wireguard(lab):
    with lab.record() as wire, link(lab, compression="auto") as gateways:
        plain, on_the_wire = sent(lab, wire, gateways, payload.random(8 * MEGABYTE))
        packets = len(wire.sent_by(lab.a.outer, 4))
    # A WireGuard packet: padded to 16, a header of 16, a tag of 16.
    assert on_the_wire <= plain + packets * (15 + 32)


@pytest.mark.parametrize("setting", ["deflate", "auto"])
def test_text_and_random_bytes_arrive_unchanged_both_ways(lab, setting):
    with link(lab, compression=setting):
        for data in (payload.text(4 * MEGABYTE), payload.random(2 * MEGABYTE)):
            for address in (lab.b.v4, lab.b.v6):
                send_tcp(lab.a.host, lab.b.host, address, data)
            send_tcp(lab.b.host, lab.a.host, lab.a.v4, data)


@pytest.mark.parametrize("a, b, compressed_to_b, compressed_to_a", [
    ("off", "off", False, False),
    (None, "auto", False, False),
    ("off", "auto", False, False),
    ("receive", "receive", False, False),
    ("receive", "auto", False, True),
    ("auto", "receive", True, False),
    ("auto", "auto", True, True),
])
def test_a_direction_is_compressed_when_one_end_wants_and_the_other_can(lab, a, b, compressed_to_b, compressed_to_a):
    with link(lab, a={"compression": a}, b={"compression": b}) as (one, two):
        text = payload.text(2 * MEGABYTE)
        send_tcp(lab.a.host, lab.b.host, lab.b.v4, text)
        send_tcp(lab.b.host, lab.a.host, lab.a.v4, text)
        # Half the direction's bytes are acknowledgements of the other; 0.7 is still far from plain.
        for gateway, compressed in ((one, compressed_to_b), (two, compressed_to_a)):
            tx = gateway.peer()["compression"]["tx"]
            assert (tx["wireBytes"] < 0.7 * tx["plainBytes"]) == compressed, tx


def test_the_statistics_name_the_codec_and_the_state(lab):
    with link(lab, a={"compression": "deflate"}, b={"compression": "receive"}) as (one, two):
        send_tcp(lab.a.host, lab.b.host, lab.b.v4, payload.text(MEGABYTE))
        compression = one.peer()["compression"]
        assert compression["configured"] == "deflate" and compression["active"] is True
        assert compression["codecs"]["deflate"]["units"] > 0
        assert compression["tx"]["ratio"] > 2
        assert two.peer()["compression"]["configured"] == "receive"
        received = two.peer()["compression"]["rx"]
        assert received["wireBytes"] < received["plainBytes"] / 2


def sent(lab, wire, gateways, data):
    """Sends from host A to B; what the inner network saw and what became of it, by the wire and by A's words."""
    wire.settle()
    before, seen = gateways[0].peer()["compression"]["tx"], wire.bytes_sent_by(lab.a.outer, 4)
    send_tcp(lab.a.host, lab.b.host, lab.b.v4, data)
    wire.settle()
    after, seen = gateways[0].peer()["compression"]["tx"], wire.bytes_sent_by(lab.a.outer, 4) - seen
    said = after["wireBytes"] - before["wireBytes"]
    # The shaper drops what its queue can't hold, after it was sent and before the wire: at the start of a stream the most
    # of a window. What is no data is not in it: above all padded PINGs that look for the path MTU. test_statistics.py compares to the byte where nothing is shaped.
    assert seen - 8192 <= said <= seen * 1.3, "the statistics and the wire disagree"
    return after["plainBytes"] - before["plainBytes"], seen
