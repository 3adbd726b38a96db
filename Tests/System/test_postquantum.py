"""`PostQuantum`: two gateways agree by ML-KEM-768 on the preshared key of their handshakes; nobody else notices."""

import pytest

from lab import Lab, WireGuardGo, link, wait_until, wait_until_up
from lab.gateway import gateway
from lab.no_loss import no_loss
from test_rotate import is_done
from test_upgrade import upgrade

PREFER, REQUIRE = ({"peer": (f"#: PostQuantum = {wish}",), "compression": "auto"} for wish in ("prefer", "require"))
BOTH, CLASSIC = "x25519+mlkem768", "x25519"


@pytest.fixture
def lab():
    with Lab(ipv6=False) as lab:
        yield lab


def exchange(one):
    return one.peer().get("keyExchange")


def agreed(*ends):
    return all(exchange(one) == BOTH for one in ends)


def test_two_gateways_agree_while_a_ping_loses_nothing(lab):
    with link(lab, **PREFER) as ends:
        with no_loss(lab), no_loss(lab, lab.b):
            wait_until(lambda: agreed(*ends), "both ends say that their session is post-quantum")
        for one in ends:
            # An encapsulation key one way and a ciphertext the other, once, in datagrams.
            assert 1184 <= one.peer()["keyExchangeBytes"] <= 6000 and one.peer()["keyExchangeAge"] < 60


def test_an_end_that_was_killed_comes_back_to_it(lab):
    with link(lab, **PREFER) as (ours, theirs):
        wait_until(lambda: agreed(ours, theirs), "both ends agree")
        theirs.process.kill()
        theirs.process.wait()
        theirs.start()
        wait_until(lambda: lab.ping(lab.b, lab.a.v4), "a ping comes back", timeout=30)
        wait_until(lambda: agreed(ours, theirs), "both agree again", timeout=40)


def test_an_agreed_key_goes_on_over_upgrades_and_another_preshared_key(lab):
    with link(lab, compression="auto", peer=("#: Name = far", "#: PostQuantum = require")) as ends:
        wait_until(lambda: agreed(*ends), "both ends agree")
        ours, theirs = ends
        handshakes, spent = ours.peer()["handshakes"], [one.peer()["keyExchangeBytes"] for one in ends]
        with no_loss(lab), no_loss(lab, lab.b):
            for one in ends:
                upgrade(one)
            ours.ctl("psk", "rotate", ours.name, "far")
            wait_until(lambda: is_done(ours, theirs), "both have another preshared key")
            wait_until(lambda: ours.peer()["handshakes"] > handshakes, "a session was made since")
            assert agreed(*ends)
        # With the key that they had: nothing more was said of it.
        assert [one.peer()["keyExchangeBytes"] for one in ends] == spent
        assert not any("x25519 alone" in one.log for one in ends)


def test_require_lets_nothing_pass_without_it(lab):
    with gateway(lab, lab.a, **REQUIRE) as ours, gateway(lab, lab.b, compression="auto") as theirs:
        wait_until(lambda: lab.ping(lab.a, lab.b.v4) or ours.has_handshake(), "there is a session")
        wait_until(lambda: "PostQuantum = require" in ours.log, "the log says what is missing")
        for site in lab.sites:
            assert not lab.ping(site, lab.other(site).v4)
        assert exchange(ours) == CLASSIC and theirs.peer().get("keyExchangeBytes", 0) == 0


def test_require_at_both_ends_carries_packets(lab):
    with link(lab, **REQUIRE) as ends:
        wait_until(lambda: agreed(*ends), "both ends agree")
        with no_loss(lab):
            pass


def test_to_a_stock_peer_not_a_byte_of_it_goes(lab):
    with WireGuardGo(lab, lab.b), gateway(lab, lab.a, **PREFER) as ours:
        wait_until_up(lab, ours)
        with no_loss(lab):
            pass
        assert exchange(ours) == CLASSIC and ours.peer()["keyExchangeBytes"] == 0
