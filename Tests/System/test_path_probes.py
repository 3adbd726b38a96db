"""How large datagrams may be on the path outside: found, followed, and told, with ICMP and without."""

import socket
import time

import pytest

from lab import Lab, link, payload, wait_until, wait_until_path_known
from lab.sizes import Streams

pytestmark = pytest.mark.xdist_group("path_probes")


@pytest.mark.parametrize("mtu", [1500, 1420, 1280, 576])
@pytest.mark.parametrize("icmp", [True, False], ids=["icmp", "silent"])
def test_what_the_path_takes_is_found_and_told(mtu, icmp):
    with Lab(router=True) as lab:
        lab.router.narrow(mtu)
        lab.router.drop(icmp=not icmp, fragments=True)
        with link(lab, compression="auto") as ends:
            wait_until_path_known(lab, *ends, mtu=mtu)
            for end in ends:
                path = end.peer()["pathMTU"]
                assert path["source"] == ("icmp" if icmp and mtu < 1500 else "probes")
                if mtu < 1500:
                    assert f"the path takes {mtu} bytes" in end.log
                    assert ("vanishes without a word" in end.log) == (not icmp)
                assert f"  path MTU     {mtu}, " in end.ctl("stats", end.name).stdout


def test_a_path_that_shrinks_is_noticed_while_data_flows():
    with Lab(router=True, outer=6) as lab, link(lab, compression="auto") as ends:
        wait_until_path_known(lab, *ends, mtu=1500)
        lab.router.narrow(1400)
        lab.router.drop(icmp=True)
        with lab.a.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            # Of a size that passed before.
            wait_until(lambda: out.sendto(payload.random(1380), (lab.b.v4, 9)) and ends[0].peer()["pathMTU"]["blackHoles"],
                       "large datagrams vanish, and that is noticed", interval=0.02)
        wait_until_path_known(lab, ends[0], mtu=1400)
        assert "the path takes 1400 bytes, and what is larger vanishes without a word" in ends[0].log


# It measures how long TCP stands still.
@pytest.mark.alone
@pytest.mark.parametrize("inner", [1420, 1500])
def test_tcp_stands_still_for_less_than_a_second_when_the_path_shrinks_without_a_word(inner):
    with Lab(router=True) as lab, link(lab, compression="auto", interface=(f"MTU = {inner}",)) as ends:
        wait_until_path_known(lab, *ends, mtu=1500)
        lab.router.drop(icmp=True, fragments=True)
        with Streams(lab.a.host, lab.b.host, lab.b.v4) as streams:
            wait_until(lambda: all(len(arrivals) > 100 for arrivals in streams.arrivals), "all streams flow")
            since = time.monotonic()
            lab.router.narrow(1280)
            time.sleep(4)
            until = time.monotonic()
        assert streams.longest_pause(since, until) < 1
        assert ends[0].peer()["pathMTU"]["mtu"] == 1280 and ends[0].peer()["pathMTU"]["blackHoles"] == 1


def test_the_interfaces_mtu_follows_the_route_while_it_runs():
    with Lab() as lab, link(lab) as ends:
        assert mtu(lab.a) == 1420
        lab.a.gateway.run("ip", "link", "set", "wan", "mtu", 1400)
        wait_until(lambda: mtu(lab.a) == 1320, "the interface's MTU is what the route takes now")
        wait_until(lambda: ends[0].peer()["pathMTU"]["mtu"] == 1400, "the statistics say it")
        lab.a.gateway.run("ip", "link", "set", "wan", "mtu", 1500)
        wait_until(lambda: mtu(lab.a) == 1420, "and again")


def mtu(site):
    return int(site.gateway.run("cat", f"/sys/class/net/{site.name}/mtu").stdout)
