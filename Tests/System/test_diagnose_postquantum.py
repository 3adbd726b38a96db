"""`gatewayctl diagnose` says which key exchange a session has, and why it is not the one that was wanted."""

import pytest

from lab import Lab, WireGuardGo, link, wait_until
from lab.gateway import gateway
from test_diagnose import NAMED, diagnose, first_failure, step

WISHES = {"prefer": (*NAMED, "#: PostQuantum = prefer"), "require": (*NAMED, "#: PostQuantum = require")}
DROPS = "udp dport 51820 meta length { 1260, 1164 } drop"
"""Encapsulation key and ciphertext in a datagram of IPv4, by their size."""


@pytest.fixture
def lab():
    with Lab(ipv6=False) as lab:
        yield lab


def ping(lab):
    lab.a.host.run("ping", "-n", "-q", "-c", 3, "-i", "0.05", "-W", "1", lab.b.v4, check=False)


def check_not_there(one, wish, *words):
    """With `prefer` packets pass and it is told, with `require` it is the failure."""
    said = diagnose(one, "far", code=0 if wish == "prefer" else 1)
    found = step(said, "keyExchange", "note") if wish == "prefer" else first_failure(said)
    assert found["step"] == "keyExchange", found
    assert ("x25519 alone" if wish == "prefer" else "require lets nothing pass") in found["text"], found
    assert all(word in found["text"] + found["cure"] for word in words), found
    return found


def test_a_session_with_it_is_well(lab):
    with link(lab, peer=WISHES["prefer"]) as ends:
        for one in ends:
            wait_until(lambda: one.peer().get("keyExchange") == "x25519+mlkem768", "both agree")
            assert one.peer()["keyExchangeStage"] == "agreed" and one.peer()["keyExchangeWanted"] == "prefer"
            said = step(diagnose(one, "far", code=0), "keyExchange", "ok")
            assert said["text"].startswith("x25519+mlkem768, the key is ") and said["text"].endswith(" old")


@pytest.mark.parametrize("wish", WISHES)
def test_a_stock_peer_has_no_other(lab, wish):
    with gateway(lab, lab.a, peer=WISHES[wish]) as ours, WireGuardGo(lab, lab.b):
        wait_until(lambda: ping(lab) or ours.peer().get("keyExchangeStage") == "refused", "it says nothing", timeout=30)
        found = check_not_there(ours, wish, "plain WireGuard")
        assert "PostQuantum = prefer" in found["cure"]


@pytest.mark.parametrize("wish", WISHES)
def test_a_gateway_that_takes_no_part_is_to_be_asked_to(lab, wish):
    with gateway(lab, lab.a, peer=WISHES[wish]) as ours, gateway(lab, lab.b, compression="auto", peer=NAMED) as theirs:
        wait_until(lambda: ping(lab) or ours.peer().get("keyExchangeStage") == "refused", "it says what it takes")
        check_not_there(ours, wish, "a gateway that takes no part", "in its section for us")
        if wish == "require":
            lab.b.host.run("ping", "-n", "-q", "-c", 3, "-i", "0.05", "-W", "1", lab.a.v4, check=False)
            wait_until(lambda: ours.peer()["drops"]["keyExchange"], "what it sends is dropped")
            assert "came without it" in "".join(check_not_there(ours, wish)["evidence"])
        # Who does not want it hears nothing of it.
        assert "keyExchangeStage" not in theirs.peer()
        assert not [one for one in diagnose(theirs, "far", code=theirs_code(wish))["steps"] if one["step"] == "keyExchange"]


def theirs_code(wish):
    """The end that does not know that nothing passes sees that nothing answers inside."""
    return 0 if wish == "prefer" else 2


@pytest.mark.slow
@pytest.mark.parametrize("wish", WISHES)
def test_records_that_are_dropped_by_their_size_are_seen_at_both_ends(lab, wish):
    lab.b.gateway.run("nft", f"add table inet t; add chain inet t i {{ type filter hook input priority 0; }}; add rule inet t i {DROPS}")
    with gateway(lab, lab.a, peer=WISHES[wish]) as ours, gateway(lab, lab.b, peer=WISHES[wish]) as theirs:
        ends = ours, theirs
        wait_until(lambda: ping(lab) or ends[0].peer().get("keyExchangeStage") == "underWay", "they have met")
        under_way = step(diagnose(ends[0], "far", code=0 if wish == "prefer" else 2), "keyExchange",
                         "note" if wish == "prefer" else "warning")
        assert "under way" in under_way["text"]
        for one in ends:
            wait_until(lambda: ping(lab) or one.peer()["keyExchangeStage"] == "unanswered", "it is given up", timeout=60)
        for one in ends:
            said = diagnose(one, "far", code=2 if wish == "prefer" else 1)
            found = step(said, "keyExchange", "warning" if wish == "prefer" else "fails")
            assert "get lost on the way" in found["text"] and "1232 and 1136 bytes" in found["cure"], found
            assert any("small datagrams pass" in line for line in found["evidence"]), found
            assert "what belongs to another gets lost on the way" in one.ctl("stats", one.name).stdout
        if wish == "prefer":
            # The one that made the session began, the other has heard nothing. Where nothing passes, each tries it.
            assert ours.peer()["keyExchangeUnanswered"] > 0 == theirs.peer()["keyExchangeUnanswered"]
            assert "nothing of it has come" in found["evidence"][0]
        # The cure.
        lab.b.gateway.run("nft", "delete", "table", "inet", "t")
        for one in ends:
            one.stop()
            one.start()
        for one in ends:
            wait_until(lambda: ping(lab) or one.peer().get("keyExchangeStage") == "agreed", "both agree", timeout=30)
