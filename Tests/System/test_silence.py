"""Two idle gateways fall silent, exactly as two WireGuard peers do."""

import time

import pytest

from lab import Lab, link, payload
from lab.traffic import send_tcp

KEEPALIVE = 22
"""Seconds in which the last keepalive comes. Data asks for one after 10 s, and data that comes while that one is due asks
for another 10 s later, as in Linux and wireguard-go."""
SILENCE = 12


@pytest.mark.slow
@pytest.mark.parametrize("a, b", [("auto", "auto"), ("auto", "off")])
def test_after_the_last_keepalive_nothing_is_heard(a, b):
    with Lab() as lab, lab.record() as wire, link(lab, a={"compression": a}, b={"compression": b}):
        send_tcp(lab.a.host, lab.b.host, lab.b.v4, payload.text(1 << 20))
        end = time.monotonic()
        while time.monotonic() < end + KEEPALIVE + SILENCE:
            time.sleep(0.5)
        late = [d for d in wire.datagrams if d.at > end + KEEPALIVE]
        after = [d for d in wire.datagrams if d.at > end + 1]
    assert late == [], f"heard {[(round(d.at - end, 1), d.source, d.size) for d in late]}"
    assert len(after) <= 4, f"more than keepalives: {[(round(d.at - end, 1), d.source, d.size) for d in after]}"
    assert all(d.size <= 32 for d in after if d.message_type == 4 and d.at > end + 6), "a record in the silence"
