"""How large datagrams may be on the path outside: found, followed, and told, with ICMP and without."""

import socket

import pytest

from lab import Lab, link, payload, wait_until, wait_until_path_known

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
