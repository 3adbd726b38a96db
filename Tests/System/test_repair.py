"""`Repair` over a path that loses one datagram in a hundred without being full."""

import os

import pytest

from lab import Lab, link
from lab.traffic import send_tcp

FAULTS = {"rate": 20, "delay": 20, "queue": 500, "loss": 1}


@pytest.mark.few
@pytest.mark.slow
def test_tcp_does_not_see_what_the_path_loses():
    reached, repairs = {}, {}
    with Lab(faults=FAULTS) as lab:
        for setting in ("off", "auto"):
            lines = ["Compression = auto", "Rate = 19mbit", f"Repair = {setting}", "Parity = off"]
            with link(lab, peer=lines) as (sender, receiver):
                reached[setting] = send_tcp(
                    lab.a.host, lab.b.host, lab.b.v4, os.urandom(1 << 20), seconds=8, timeout=60).megabits
                repairs[setting] = sender.peer().get("repair"), receiver.peer().get("repair")
                said = receiver.ctl("stats", receiver.name).stdout
                assert ("repaired" in said) == (setting == "auto")
    assert repairs["off"] == (None, None)
    sent, received = repairs["auto"]
    assert sent["resent"] > 20 and received["lost"] > 20
    assert received["repaired"] >= 0.95 * received["lost"]
    assert received["held"] > 100 and 0 < received["heldMicrosecondsP50"] <= received["heldMicrosecondsP99"]
    assert reached["auto"] > 1.5 * reached["off"]


@pytest.mark.few
def test_most_of_what_a_path_loses_is_had_back_from_parity_without_being_asked_for():
    with Lab(faults=FAULTS) as lab:
        with link(lab, peer=["Compression = auto", "Rate = 19mbit"]) as (sender, receiver):
            send_tcp(lab.a.host, lab.b.host, lab.b.v4, os.urandom(1 << 20), seconds=8, timeout=60)
            sent, received = sender.peer()["repair"], receiver.peer()["repair"]
            assert "gave back" in receiver.ctl("stats", receiver.name).stdout
            assert 0 < sent["parityBytes"] < 0.13 * sender.peer()["txBytes"]
    assert received["lost"] > 20
    assert received["rebuilt"] > received["lost"] / 2
    assert received["repaired"] + received["rebuilt"] >= 0.95 * received["lost"]


@pytest.mark.few
def test_a_path_that_loses_nothing_costs_nothing_and_nothing_waits():
    with Lab(faults={"rate": 20, "delay": 5, "queue": 500}) as lab:
        with link(lab, peer=["Compression = auto", "Rate = 19mbit"]) as (sender, receiver):
            send_tcp(lab.a.host, lab.b.host, lab.b.v4, os.urandom(1 << 20), seconds=4, timeout=60)
            assert sender.peer()["repair"]["resent"] <= 3
            assert receiver.peer()["repair"]["held"] <= 10
