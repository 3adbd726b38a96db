"""An `Endpoint` that is a name: asked for again when the peer does not answer, without holding anything up."""

import contextlib
import pathlib
import shutil

import pytest

from lab import Lab, wait_until, wait_until_up
from lab.gateway import Gateway, config, gateway, write_config
from lab.site import PORT

NAME = "far.test"


@pytest.fixture
def lab():
    with Lab() as lab:
        # `ip netns exec` puts this file in the place of /etc/hosts.
        lab.hosts = pathlib.Path("/etc/netns", lab.a.gateway.name, "hosts")
        wait_until(lambda: made(lab.hosts.parent), "a directory for it")
        try:
            lab.hosts.write_text("")
            yield lab
        finally:
            shutil.rmtree(lab.hosts.parent)
            with contextlib.suppress(OSError):
                lab.hosts.parent.parent.rmdir()


def made(directory):
    """Whether it is there; what is above it may be taken away by others that have done with it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        return False
    return True


@pytest.fixture
def by_name(lab):
    """Gateway A, which knows gateway B's name alone."""
    text = config(lab, lab.a).replace(lab.b.endpoint, f"{NAME}:{PORT}")
    assert NAME in text
    return Gateway(lab, lab.a, write_config(lab, lab.a, text))


@pytest.mark.fast
def test_a_name_without_an_address_yet_is_asked_for_until_it_has_one(lab, by_name):
    with by_name as a, gateway(lab, lab.b, endpoint=False) as b:
        wait_until(lambda: "asking again" in a.log, "it says that there is no address")
        assert lab.a.host.run("ping", "-c1", "-W5", lab.b.v4, check=False).stdout.count("+1 errors") == 1
        lab.hosts.write_text(f"{lab.b.outer} {NAME}\n")
        wait_until_up(lab, a, b)


def test_a_name_that_moved_is_found_again_when_the_peer_is_silent(lab, by_name):
    lab.hosts.write_text(f"192.0.2.2 {NAME}\n")
    lab.b.gateway.run("ip", "address", "del", "192.0.2.2/30", "dev", "wan")
    lab.b.gateway.run("ip", "address", "add", "198.51.100.2/24", "dev", "wan")
    lab.a.gateway.run("ip", "route", "add", "198.51.100.0/24", "dev", "wan")
    lab.b.gateway.run("ip", "route", "add", "192.0.2.0/24", "dev", "wan")
    with by_name as a, gateway(lab, lab.b, endpoint=False) as b:
        assert not lab.ping(lab.a, lab.b.v4)
        lab.hosts.write_text(f"198.51.100.2 {NAME}\n")
        wait_until_up(lab, a, b, timeout=25)
        assert a.peer()["endpoint"] == f"198.51.100.2:{PORT}"
