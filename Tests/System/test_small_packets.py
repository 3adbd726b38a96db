"""Small packets that come together share a datagram; nothing is lost, changed or put into another order by that."""

import pytest

from lab import Lab, link
from lab.small_packets import HEADERS, send_bursts

# What "60-byte UDP" may mean.
PAYLOADS = {"60 bytes of payload": 60, "60 bytes with headers": 60 - HEADERS}


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_bursts_of_twenty_flows_take_two_fifths_less_than_wireguard(lab, payload):
    bursts = {}
    for compression in ("off", "auto"):
        with lab.record() as wire, link(lab, compression=compression) as (gateway, _):
            bursts[compression] = send_bursts(lab, wire, payload, gateway)
    for one in bursts.values():
        assert one.received == one.sent
    assert bursts["auto"].wire_bytes <= 0.6 * bursts["off"].wire_bytes
