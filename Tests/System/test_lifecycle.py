"""A gateway comes, goes, comes back and changes its key, and leaves everything as it was."""

import signal
from pathlib import Path

import pytest

from lab import Keys, Lab, link, wait_until, wait_until_up
from lab.gateway import Gateway, gateway, gatewayctl, write_config


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


@pytest.mark.fast
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_takes_interface_routes_and_sockets_away(lab, number):
    before = lab.a.gateway.state()
    with link(lab, compression="auto") as (a, b):
        assert lab.a.gateway.state() != before
        assert a.stop(number) == 0
        assert lab.a.gateway.state() == before
        assert list(a.run_directory.iterdir()) == []
        assert not Path(f"/var/run/wireguard/{a.name}.sock").exists()
        b.check_alive()


@pytest.mark.fast
def test_a_gateway_without_any_traffic_also_goes_cleanly(lab):
    before = lab.a.gateway.state()
    with gateway(lab, lab.a) as a:
        assert a.stop() == 0
    assert lab.a.gateway.state() == before


@pytest.mark.fast
def test_a_gateway_whose_interface_is_deleted_ends_as_a_failure_so_that_it_is_started_again(lab):
    before = lab.a.gateway.state()
    with gateway(lab, lab.a) as a:
        lab.a.gateway.run("ip", "link", "del", a.name)
        assert a.process.wait(10) == 69
        assert lab.a.gateway.state() == before
        assert f"gateway: the interface {a.name} was deleted while it ran" in a.log.splitlines()
        a.start()
        assert a.stop() == 0


@pytest.mark.fast
def test_a_reload_names_the_keys_that_changed_and_need_a_restart(lab):
    with gateway(lab, lab.a) as a:
        a.config.write_text(a.config.read_text().replace("[Peer]", "PreUp = true\nPostUp = true\n[Peer]"))
        a.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload: PreUp, PostUp changed and take a restart" in a.log, "the reload says what it left out")


@pytest.mark.fast
def test_a_killed_gateway_starts_again_over_its_remains(lab):
    with link(lab, compression="auto") as (a, b):
        a.stop(signal.SIGKILL)
        a.start()
        wait_until_up(lab, a, b)


@pytest.mark.fast
@pytest.mark.parametrize("letter", ["a", pytest.param("b", marks=pytest.mark.slow)])
def test_the_link_comes_back_when_one_side_restarts(lab, letter):
    with link(lab, compression="auto") as gateways:
        one = gateways[letter == "b"]
        assert one.stop() == 0
        one.start()
        # The other side still holds the old session: whoever speaks first, both directions recover.
        wait_until_up(lab, *gateways, timeout=30)
        assert lab.ping(lab.b, lab.a.v6, count=3)


@pytest.mark.fast
def test_the_statistics_start_anew_with_the_daemon(lab):
    with link(lab) as (a, _):
        a.stop()
        a.start()
        assert a.peer()["txBytes"] < 1000


@pytest.mark.fast
@pytest.mark.parametrize("in_file_of_its_own", [False, True], ids=["PrivateKey", "PrivateKeyFile"])
def test_a_new_key_is_in_the_file_and_in_memory_and_the_link_comes_back(lab, in_file_of_its_own):
    if in_file_of_its_own:
        key_file = keep_key_in_a_file(lab, lab.a)
        a = Gateway(lab, lab.a, lab.directory / f"{lab.a.name}.conf")
    else:
        a = gateway(lab, lab.a, compression="auto")
        key_file = a.config
    new = Keys()
    with a, gateway(lab, lab.b, compression="auto") as b:
        wait_until_up(lab, a, b)
        old_text = key_file.read_text()
        a.ctl("key", "set", secret_file(lab, "new.key", new.private))

        assert a.stats()["publicKey"] == new.public
        assert new.public in a.ctl("key", "show").stdout
        assert key_file.read_text() == old_text.replace(lab.a.keys.private, new.private)
        assert key_file.stat().st_mode & 0o777 == 0o600

        b.stop()
        lab.a.keys = new
        with gateway(lab, lab.b, compression="auto") as b:
            wait_until_up(lab, a, b, timeout=30)
            a.stop()
            a.start()
            wait_until_up(lab, a, b, timeout=30)


@pytest.mark.fast
def test_a_bad_key_changes_nothing(lab):
    with link(lab) as (a, _):
        text = a.config.read_text()
        done = a.ctl("key", "set", secret_file(lab, "bad.key", "AAAA"), check=False)
        assert done.returncode != 0 and len(done.stderr.splitlines()) == 1
        assert a.config.read_text() == text and a.stats()["publicKey"] == lab.a.keys.public
        assert lab.ping(lab.a, lab.b.v4)


@pytest.mark.fast
def test_the_files_that_gatewayctl_makes_bring_a_link_up(lab):
    north, south = lab.a.name, lab.b.name
    for name in (north, south):
        made = gatewayctl("keygen", name, "--dir", lab.directory)
        assert made.stdout.split()[-1] == (lab.directory / f"{name}.pub").read_text().strip()
        assert (lab.directory / f"{name}.key").stat().st_mode & 0o777 == 0o600
    gatewayctl("link", north, south, "--dir", lab.directory,
               "--endpoint-a", lab.a.endpoint, "--endpoint-b", lab.b.endpoint,
               "--net-a", lab.a.networks[0], "--net-b", lab.b.networks[0])
    configs = [lab.directory / f"{name}.conf" for name in (north, south)]
    for file in configs:
        assert file.stat().st_mode & 0o777 == 0o600
        lab.a.gateway.run("wg-quick", "strip", file)
    with Gateway(lab, lab.a, configs[0]) as a, Gateway(lab, lab.b, configs[1]) as b:
        wait_until_up(lab, a, b)
        wait_until(lambda: a.peer()["compression"]["active"], "both ends agree on compression")


@pytest.mark.fast
def test_keygen_never_overwrites(lab):
    gatewayctl("keygen", "site", "--dir", lab.directory)
    key = (lab.directory / "site.key").read_bytes()
    again = gatewayctl("keygen", "site", "--dir", lab.directory, check=False)
    assert again.returncode != 0 and len(again.stderr.splitlines()) == 1
    assert (lab.directory / "site.key").read_bytes() == key


@pytest.mark.fast
def test_the_log_says_who_shook_hands_and_no_secret(lab):
    with link(lab, compression="auto", peer=("#: Name = far",)) as (a, b):
        lab.ping(lab.a, lab.b.v4, count=20)
        for one in (a, b):
            assert "handshake" in one.log.lower() and "far" in one.log
            assert one.site.keys.private not in one.log
            assert len(one.log.splitlines()) < 30, "the log speaks of packets"


def test_an_idle_gateway_is_small(lab):
    with link(lab, compression="auto") as gateways:
        for one in gateways:
            # How much of the program itself is mapped differs by half a megabyte from start to start.
            assert one.resident < 29e6 and one.anonymous < 4e6


def secret_file(lab, name, text):
    path = lab.directory / name
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def keep_key_in_a_file(lab, site):
    """A config in which `PrivateKeyFile` stands for the key; the file that holds it."""
    key_file = secret_file(lab, f"{site.name}.key", site.keys.private)
    config = write_config(lab, site, compression="auto")
    config.write_text(config.read_text().replace(
        f"PrivateKey = {site.keys.private}", f"#: PrivateKeyFile = {key_file}"))
    return key_file
