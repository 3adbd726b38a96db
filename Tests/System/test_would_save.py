"""`stats` says what compression would have saved of what is sent plain, by service."""

import pytest

from lab import Lab, WireGuardGo, wait_until
from lab.gateway import gateway
from lab.link import wait_until_up
from lab.payload import random, text
from lab.traffic import send_tcp

SIZE = 6 << 20


@pytest.fixture
def lab():
    with Lab(ipv6=False) as lab:
        yield lab


def told(gateway):
    """What is told of the only peer, once something was looked at."""
    return wait_until(lambda: gateway.peer()["compression"].get("wouldSave"), "something was looked at", timeout=20)


@pytest.mark.parametrize("stock", [True, False])
def test_of_text_to_a_peer_that_gets_it_plain_much_would_have_been_saved_and_of_noise_nothing(lab, stock):
    compression = "auto" if stock else None
    far = WireGuardGo(lab, lab.b) if stock else gateway(lab, lab.b)
    with gateway(lab, lab.a, compression=compression) as ours, far:
        wait_until_up(lab, ours)
        send_tcp(lab.a.host, lab.b.host, lab.b.v4, text(SIZE), port=5432)
        send_tcp(lab.a.host, lab.b.host, lab.b.v4, random(SIZE), port=443)

        def both():
            services = {one["service"]: one for one in told(ours)["services"]}
            return services if {"tcp/5432", "tcp/443"} <= services.keys() else None

        services = wait_until(both, "both services were looked at", timeout=20)
        words, noise = services["tcp/5432"], services["tcp/443"]
        assert words["savedBytes"] > words["sampledBytes"] * 0.3 and noise["savedBytes"] == 0, services
        would = told(ours)
        assert would["sampledBytes"] == sum(one["sampledBytes"] for one in services.values()) or len(would["services"]) > 2
        shown = ours.ctl("stats", ours.name).stdout
        assert "would save" in shown and "tcp/5432" in shown and "tcp/443 0 %" in shown, shown


def test_where_packets_are_compressed_there_is_nothing_to_tell(lab):
    with gateway(lab, lab.a, compression="zstd") as ours, gateway(lab, lab.b, compression="zstd") as far:
        wait_until_up(lab, ours, far)
        wait_until(lambda: ours.peer()["compression"]["active"], "it compresses")
        send_tcp(lab.a.host, lab.b.host, lab.b.v4, text(1 << 20), port=5432)
        assert "tcp/5432" not in str(ours.peer()["compression"].get("wouldSave"))


def test_stats_say_what_became_of_each_service_where_packets_are_compressed(lab):
    with gateway(lab, lab.a, compression="zstd") as ours, gateway(lab, lab.b, compression="zstd") as far:
        wait_until_up(lab, ours, far)
        wait_until(lambda: ours.peer()["compression"]["active"], "it compresses")
        send_tcp(lab.a.host, lab.b.host, lab.b.v4, text(SIZE), port=5432)
        send_tcp(lab.a.host, lab.b.host, lab.b.v4, random(SIZE), port=443)

        def both():
            services = {one["service"]: one for one in ours.peer()["compression"].get("services", [])}
            return services if {"tcp/5432", "tcp/443"} <= services.keys() else None

        services = wait_until(both, "both services were looked at", timeout=20)
        words, noise = services["tcp/5432"], services["tcp/443"]
        assert SIZE * 0.8 < words["plainBytes"] < SIZE * 1.3 and SIZE * 0.8 < noise["plainBytes"] < SIZE * 1.3, services
        assert words["plainBytes"] > 1.5 * words["wireBytes"] and noise["plainBytes"] <= noise["wireBytes"], services
