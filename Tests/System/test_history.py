"""`History` in front of a thin link: units of a bulk TCP flow refer to those before them."""

import random

import pytest

from lab import Lab, link
from lab.ethernet import Offices
from lab.traffic import send_tcp

LINES = ["Compression = auto", "Rate = 19mbit"]


def words(size, seed=1):
    """Text of some thousand words, in an order that nobody said before."""
    noise = random.Random(seed)
    known = ["".join(noise.choices("etaoinshrdlu", k=noise.randint(3, 9))) for _ in range(4000)]
    return " ".join(noise.choices(known, k=size // 6)).encode()[:size]


def goodput(lab, seconds=5):
    return send_tcp(lab.a.host, lab.b.host, lab.b.v4, words(8 << 20), seconds=seconds, timeout=60).megabits


@pytest.mark.few
@pytest.mark.parametrize("loss", [0, 1])
def test_a_bulk_flow_takes_fewer_bytes_and_every_one_is_right(loss):
    with Lab(faults={"rate": 20, "delay": 20, "queue": 500, "loss": loss}) as lab:
        ratios = {}
        for history in ("off", "auto"):
            with link(lab, peer=[*LINES, f"History = {history}"]) as (sender, receiver):
                goodput(lab)
                ratios[history] = sender.peer()["compression"]["tx"]["ratio"]
                sent, received = sender.peer().get("history"), receiver.peer().get("history")
                assert (sent is None) == (history == "off")
        assert sent["txUnits"] > 100 and received["rxUnits"] > 0.9 * sent["txUnits"]
        assert received["wrong"] == 0 and received["memoryBytes"] <= 64 << 20
        assert ratios["auto"] > 1.05 * ratios["off"]


@pytest.mark.few
def test_an_end_that_does_without_is_sent_none():
    with Lab(faults={"rate": 20, "delay": 5, "queue": 500}) as lab:
        with link(lab, a={"peer": [*LINES, "History = auto"]}, b={"peer": LINES}) as (sender, receiver):
            assert goodput(lab, seconds=2) > 10
            assert "history" not in sender.peer() and "history" not in receiver.peer()
            assert receiver.peer()["drops"]["malformed"] == 0


@pytest.mark.few
def test_a_bulk_flow_between_ethernets_takes_fewer_bytes_and_every_one_is_right():
    ratios = {}
    with Offices(2) as lan:
        for history in ("off", "auto"):
            with lan.tunnel(compression="auto", peer=["#: Rate = 10mbit", f"#: History = {history}"]) as (sender, receiver):
                lan.wait_until_pinged(lan[0], lan[1])
                send_tcp(lan[0].host, lan[1].host, lan[1].v4, words(8 << 20), seconds=5, timeout=60)
                ratios[history] = sender.stats()["peers"][0]["compression"]["tx"]["ratio"]
                sent, received = (gateway.stats()["peers"][0].get("history") for gateway in (sender, receiver))
                assert (sent is None) == (history == "off")
    assert sent["txUnits"] > 50 and received["rxUnits"] > 0.9 * sent["txUnits"] and received["wrong"] == 0
    assert ratios["auto"] > 1.05 * ratios["off"]
