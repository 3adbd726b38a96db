"""`Rate` in front of a thin link whose modem has half a second of buffer."""

import os
import re
import threading
import time

import pytest

from lab import Lab, link, payload
from lab.ethernet import Offices
from lab.traffic import send_tcp

FAULTS = {"rate": 2, "delay": 10, "queue": 500}


@pytest.mark.few
@pytest.mark.slow
def test_a_ping_beside_an_upload_does_not_wait_in_the_modem():
    with Lab(faults=FAULTS) as lab:
        with link(lab, peer=["Compression = auto"]) as pair:
            without, _ = beside_upload(lab)
            assert "queue" not in pair[0].peer()
        with link(lab, peer=["Compression = auto"], interface=["Rate = 1.9mbit"]) as pair:
            shaped, goodput = beside_upload(lab)
            assert pair[0].peer()["queue"]["rate"] == 0
        with link(lab, peer=["Rate = 1.9mbit"]) as pair:
            of_peer, _ = beside_upload(lab)
            assert pair[0].peer()["queue"]["rate"] == 1_900_000
    assert without > 150, "the modem's buffer was not full"
    assert shaped < without / 3
    assert of_peer < without / 3
    assert goodput > 1.2


@pytest.mark.few
def test_an_end_that_says_how_fast_it_can_be_sent_to_needs_no_rate_at_the_other():
    with Lab(faults=FAULTS) as lab:
        # Neither end compresses, and the sending one has nothing configured but WireGuard.
        with link(lab, b={"peer": ["DownRate = 1.9mbit"]}) as (sender, receiver):
            median, goodput = beside_upload(lab)
            queue = sender.peer()["queue"]
            assert queue["toldRate"] == queue["rate"] == 1_900_000
            assert queue["bulkFlows"] == 1 and queue["sparseFlows"] >= 1
            assert 0 < queue["delayMicrosecondsP50"] <= queue["delayMicrosecondsP99"] < 1_000_000
            assert "queue" not in receiver.peer()
            assert "it can be sent to at 1.9 Mbit/s" in sender.log
            said = sender.ctl("stats", sender.name).stdout
            assert "1 bulk" in said and "sparse flows" in said
        assert median < 100
        assert goodput > 1.2


@pytest.mark.few
@pytest.mark.slow
def test_a_rate_between_bounds_is_found_and_follows_the_link():
    with Lab(faults={"rate": 4, "delay": 10, "queue": 500}) as lab:
        with link(lab, compression="auto", a={"peer": ["Rate = auto 500kbit..20mbit"]}) as (sender, _):
            assert sender.peer()["queue"]["rate"] == sender.peer()["queue"]["autoLeast"] == 500_000
            median, goodput = beside_upload(lab)
            queue = sender.peer()["queue"]
            assert 2_500_000 < queue["rate"] < 6_000_000
            assert (queue["autoMost"], queue["autoUnheard"]) == (20_000_000, False)
            assert "found between 0.5 and 20.0" in sender.ctl("stats", sender.name).stdout
            assert median < 100
            assert goodput > 2
            lab.link.change(rate=1)
            median, _ = beside_upload(lab)
            assert sender.peer()["queue"]["rate"] < 1_600_000
            assert median < 150


@pytest.mark.few
def test_to_a_peer_that_says_nothing_of_what_arrives_the_lower_bound_is_kept_and_the_log_says_so():
    with Lab() as lab, link(lab, a={"peer": ["Rate = auto 4mbit..20mbit"]}) as (sender, _):
        _, goodput = beside_upload(lab)
        assert "it says nothing of what arrives" in sender.log
        assert sender.peer()["queue"]["autoUnheard"]
        assert sender.peer()["queue"]["rate"] == 4_000_000
        assert "the peer says nothing of what arrives" in sender.ctl("stats", sender.name).stdout
    assert 2.5 < goodput < 4


@pytest.mark.few
def test_a_flow_that_shrinks_and_one_that_does_not_have_equal_parts_of_the_wire():
    with Lab(faults={"rate": 4, "delay": 10, "queue": 500}) as lab:
        # What goes to port 7002 is left alone: so what was coded is all of the other flow.
        with link(lab, peer=["Compression = auto", "CompressionSkip = 7002"], interface=["Rate = 3.8mbit"]) as (sender, _):
            done = {}

            def send(name, data, port):
                done[name] = send_tcp(lab.a.host, lab.b.host, lab.b.v4, data, seconds=8, port=port, timeout=60)

            flows = [threading.Thread(target=send, args=flow, daemon=True) for flow in (
                ("random", os.urandom(1 << 20), 7002), ("text", payload.text(4 << 20), 7001))]
            for flow in flows:
                flow.start()
            time.sleep(2)
            before = sender.peer()["compression"]
            time.sleep(5)
            after = sender.peer()["compression"]
            for flow in flows:
                flow.join()
    wire = after["tx"]["wireBytes"] - before["tx"]["wireBytes"]
    coded = sum(after["codecs"][name]["wireBytes"] - before["codecs"][name]["wireBytes"] for name in after["codecs"])
    assert 0.45 < coded / wire < 0.55
    assert done["text"].megabits > 2 * done["random"].megabits


@pytest.mark.few
def test_frames_wait_in_front_of_a_thin_link_too():
    with Offices(2) as lan, lan.tunnel(interface=["#: Rate = 2mbit"], compression="auto") as (sender, _):
        lan.wait_until_pinged(*lan.sites)
        median, goodput = beside_upload(lan.sites)
        queue = sender.peer()["queue"]
    assert queue["bulkFlows"] >= 1
    assert median < 60
    assert 1.2 < goodput < 2


def beside_upload(lab, seconds=6):
    """The median ping in ms while a host sends bytes that do not shrink, and the goodput in Mbit/s; lab: two sites."""
    near, far = lab if isinstance(lab, list) else (lab.a, lab.b)
    done = []
    sender = threading.Thread(
        target=lambda: done.append(
            send_tcp(near.host, far.host, far.v4, os.urandom(1 << 20), seconds=seconds, timeout=60)), daemon=True)
    sender.start()
    time.sleep(2)
    said = near.host.run("ping", "-n", "-c", 30, "-i", 0.1, "-W", 2, far.v4, check=False).stdout
    sender.join()
    times = sorted(float(one) for one in re.findall(r"time=([\d.]+)", said))
    assert len(times) >= 20, said
    return times[len(times) // 2], done[0].megabits
