"""Routes and addresses of an interface: lost and found again, and those that are somebody else's."""

import signal

import pytest

from lab import Lab, link, wait_until, wait_until_up
from lab.attempt import refused
from lab.gateway import REPOSITORY, write_config


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


def routes(lab, version=4):
    """Where the gateway's routes go."""
    lines = lab.a.gateway.run("ip", f"-{version}", "route", "show").stdout.splitlines()
    return {line.split()[0]: line.split()[line.split().index("dev") + 1] for line in lines if "dev" in line}


def reload(one):
    """Has it read its file again, and waits until it has."""
    done = one.log.count("reloaded: ")
    one.process.send_signal(signal.SIGHUP)
    wait_until(lambda: one.log.count("reloaded: ") > done, "the file was read again")


def rewrite(one, old, new):
    text = one.config.read_text()
    assert old in text
    one.config.write_text(text.replace(old, new))


def test_an_interface_that_was_down_gets_routes_and_addresses_back(lab):
    with link(lab, a={"interface": ("Address = fd09::1/64",)}) as (a, b):
        before = lab.a.gateway.state()
        lab.a.gateway.run("ip", "link", "set", a.name, "down")
        assert lab.b.networks[0] not in routes(lab)
        lab.a.gateway.run("ip", "link", "set", a.name, "up")
        wait_until(lambda: lab.a.gateway.state() == before, "addresses and routes are as they were")
        wait_until_up(lab, a, b)
        assert "was down" in a.log
        # Too fast to see it down.
        lab.a.gateway.run("sh", "-c", f"ip link set {a.name} down; ip link set {a.name} up")
        wait_until(lambda: lab.a.gateway.state() == before, "addresses and routes are as they were")
        wait_until_up(lab, a, b)


def test_a_reload_brings_back_what_somebody_removed(lab):
    with link(lab, a={"interface": ("Address = fd09::1/64",)}) as (a, _):
        before = lab.a.gateway.state()
        lab.a.gateway.run("ip", "route", "del", lab.b.networks[0])
        lab.a.gateway.run("ip", "address", "del", "fd09::1/64", "dev", a.name)
        reload(a)
        assert lab.a.gateway.state() == before


def test_a_route_that_is_taken_ends_the_start_for_good_and_says_by_whom(lab):
    lab.a.gateway.run("ip", "route", "add", lab.b.networks[0], "dev", "lan")
    run = lab.directory / "run"
    run.mkdir()
    answer = refused(lab.a.gateway, write_config(lab, lab.a), run)
    assert answer.code == 73, answer
    assert lab.b.networks[0] in answer.line and "lan" in answer.line and "AllowedIPs" in answer.line
    unit = (REPOSITORY / "packaging/gateway@.service").read_text()
    assert "73" in next(line for line in unit.splitlines() if line.startswith("RestartPreventExitStatus"))


def test_a_reload_makes_every_route_but_those_that_are_taken_and_the_next_one_tries_these_again(lab):
    with link(lab) as (a, _):
        lab.a.gateway.run("ip", "route", "add", "10.50.0.0/24", "dev", "lan")
        rewrite(a, "AllowedIPs = ", "AllowedIPs = 10.50.0.0/24, 10.51.0.0/28, 10.52.0.0/16, 10.53.0.0/25, ")
        reload(a)
        found = routes(lab)
        assert found["10.50.0.0/24"] == "lan"
        assert [found.get(route) for route in ("10.51.0.0/28", "10.52.0.0/16", "10.53.0.0/25")] == [a.name] * 3
        (said,) = [line for line in a.log.splitlines() if "10.50.0.0/24" in line]
        assert "File exists" in said and "lan" in said
        lab.a.gateway.run("ip", "route", "del", "10.50.0.0/24")
        reload(a)
        assert routes(lab)["10.50.0.0/24"] == a.name
        rewrite(a, "10.51.0.0/28, ", "")
        reload(a)
        assert "10.51.0.0/28" not in routes(lab) and routes(lab)["10.52.0.0/16"] == a.name
        a.stop()
    assert "10.52.0.0/16" not in routes(lab)
