"""What `gatewayctl link` and `gatewayctl peer add` write, also beside what is there already, and that it runs."""

import signal
import subprocess

import pytest

from lab import DropIn, Keys, Lab, wait_until, wait_until_up
from lab.gateway import GATEWAY, Gateway, gatewayctl


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture
def folder(tmp_path):
    """A folder with hq.conf, of a hub with one branch and a comment."""
    hub(tmp_path, "one", "10.2.0.0/24")
    file = tmp_path / "hq.conf"
    file.write_text(file.read_text() + "# Anna knows the password of the router.\n")
    return tmp_path


def hub(folder, branch, network, *more, check=True, hq="10.1.0.0/24"):
    return gatewayctl("link", "hq", branch, "--dir", folder, "--endpoint-a", "192.0.2.1:51820",
                      "--net-a", hq, "--net-b", network, *more, check=check)


@pytest.mark.fast
def test_a_hub_gets_its_second_branch_without_losing_a_line(folder):
    before = (folder / "hq.conf").read_text()
    done = hub(folder, "two", "10.3.0.0/24", "--endpoint-b", "two.example.org:51820")
    after = (folder / "hq.conf").read_text()
    assert after.startswith(before) and "#: Name = two" in after and "Endpoint = two.example.org:51820" in after
    assert (folder / "hq.conf").stat().st_mode & 0o777 == 0o600
    assert "systemctl reload gateway@hq" in done.stdout
    for name in ("hq", "one", "two"):
        assert (folder / f"{name}.conf").read_text().count("\n#: MTU = 1500\n") == 1
        assert checked(folder / f"{name}.conf") == (0, "")
    assert (folder / "hq.pub").read_text().strip() in (folder / "two.conf").read_text()


def test_a_running_hub_takes_its_second_branch_and_keeps_the_first(lab):
    files = lab_link(lab, "--endpoint-a", lab.a.endpoint, "--endpoint-b", lab.b.endpoint)
    with Gateway(lab, lab.a, files[0]) as a, Gateway(lab, lab.b, files[1]) as b:
        wait_until_up(lab, a, b)
        handshake = a.peer()["latestHandshake"]
        gatewayctl("link", lab.a.name, "third", "--dir", lab.directory, "--endpoint-a", lab.a.endpoint,
                   "--net-a", lab.a.networks[0], "--net-b", "10.3.0.0/24")
        a.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(a.stats()["peers"]) == 2, "the hub has both")
        first = next(peer for peer in a.stats()["peers"] if peer["name"] == lab.b.name)
        assert first["latestHandshake"] == handshake
        assert lab.ping(lab.a, lab.b.v4)


def test_a_site_without_a_fixed_address_opens_the_way_by_itself(lab):
    files = lab_link(lab, "--endpoint-a", lab.a.endpoint)
    assert "Endpoint" not in files[0].read_text() and "ListenPort" not in files[1].read_text()
    with Gateway(lab, lab.a, files[0]) as a, Gateway(lab, lab.b, files[1]) as b:
        # Nobody sends anything.
        wait_until(lambda: a.has_handshake() and b.has_handshake(), "the keepalive makes a handshake")
        assert lab.ping(lab.a, lab.b.v4)


def test_everything_may_go_through_one_of_the_sites(lab):
    files = lab_link(lab, "--endpoint-a", lab.a.endpoint, net_a="0.0.0.0/0,::/0")
    with Gateway(lab, lab.a, files[0]) as a, Gateway(lab, lab.b, files[1]) as b:
        wait_until_up(lab, a, b, sender=lab.b)
        assert f"dev {b.name}" in lab.b.gateway.run("ip", "route", "get", "198.51.100.1").stdout


def test_a_phone_is_added_to_a_site_and_its_file_is_plain_wireguard(lab):
    files = lab_link(lab, "--endpoint-a", lab.a.endpoint)
    before = files[0].read_text()
    # The branch has the first one's network: the longer prefix wins.
    gatewayctl("peer", "add", lab.a.name, "phone", "--dir", lab.directory, "--address", "10.2.0.2, fd09::2",
               "--endpoint", lab.a.endpoint, "--net", lab.a.networks[0], "--dns", "10.1.0.2")
    after = files[0].read_text()
    assert after.startswith(before) and "AllowedIPs = 10.2.0.2/32, fd09::2/128" in after
    phone = lab.directory / "phone.conf"
    assert phone.stat().st_mode & 0o777 == 0o600
    text = phone.read_text()
    assert "#" not in text and "DNS = 10.1.0.2" in text and "PersistentKeepalive = 25" in text
    stripped = lab.b.gateway.run("wg-quick", "strip", phone).stdout
    with Gateway(lab, lab.a, files[0]) as a, DropIn(lab.b.gateway, "p", program="wireguard-go") as device:
        device.wg("setconf", "/dev/stdin", text=stripped)
        lab.b.gateway.run("ip", "link", "set", device.name, "up")
        wait_until(lambda: any(peer["name"] == "phone" and peer["latestHandshake"] for peer in a.stats()["peers"]),
                   "the phone shakes hands")


def test_a_device_that_made_its_own_key_is_told_what_to_enter(folder):
    keys = Keys()
    (folder / "phone.pub").write_text(keys.public + "\n")
    done = gatewayctl("peer", "add", "hq", "phone", "--dir", folder, "--address", "10.9.0.2",
                      "--endpoint", "192.0.2.1:51820", "--public-key", folder / "phone.pub")
    assert keys.public in (folder / "hq.conf").read_text() and not (folder / "phone.conf").exists()
    for line in ("Address = 10.9.0.2/32", f"PublicKey = {(folder / 'hq.pub').read_text().strip()}",
                 "AllowedIPs = 0.0.0.0/0, ::/0", "Endpoint = 192.0.2.1:51820"):
        assert line in done.stdout.splitlines()


@pytest.mark.parametrize("words, code, reason", [
    (["one", "10.4.0.0/24"], 73, "has a peer one already"),
    (["two", "10.2.0.0/24"], 78, "AllowedIPs of two peers"),
    (["two", "10.1.0.0/16"], 64, "overlap"),
], ids=["the same branch", "the same network", "the hub's network"])
def test_what_does_not_fit_to_what_is_there_changes_nothing(folder, words, code, reason):
    before = contents(folder)
    done = hub(folder, *words, check=False)
    assert done.returncode == code and reason in done.stderr and len(done.stderr.splitlines()) == 1
    assert contents(folder) == before


def test_neither_site_with_an_address_is_no_link(tmp_path):
    done = gatewayctl("link", "x", "y", "--dir", tmp_path, "--net-a", "10.1.0.0/24", "--net-b", "10.2.0.0/24", check=False)
    assert done.returncode == 64 and "--endpoint-a or --endpoint-b" in done.stderr
    assert contents(tmp_path) == {}


def test_a_file_with_errors_and_one_for_ethernet_are_left_alone(folder):
    file = folder / "hq.conf"
    good = file.read_text()
    for text, reason in ((good.replace("ListenPort", "ListenPrt"), "ListenPrt"),
                         (good.replace("[Peer]", "#: Mode = tap\n[Peer]"), "Mode = tap")):
        file.write_text(text)
        before = contents(folder)
        done = hub(folder, "two", "10.3.0.0/24", check=False)
        assert done.returncode == 78 and reason in done.stderr and len(done.stderr.splitlines()) == 1
        assert contents(folder) == before


def test_a_far_site_is_added_by_its_public_key_alone(folder, tmp_path_factory):
    far = tmp_path_factory.mktemp("far")
    gatewayctl("keygen", "two", "--dir", far)
    (folder / "two.pub").write_text((far / "two.pub").read_text())
    done = hub(folder, "two", "10.3.0.0/24")
    assert "copy it to two" in done.stdout and "#: PrivateKeyFile = two.key" in (folder / "two.conf").read_text()
    # A link of it to a third one, made here as well, where its private key is not.
    gatewayctl("link", "two", "three", "--dir", folder, "--endpoint-b", "192.0.2.3:51820",
               "--net-a", "10.3.0.0/24", "--net-b", "10.4.0.0/24")
    (far / "two.conf").write_text((folder / "two.conf").read_text())
    (far / "two.conf").chmod(0o600)
    assert checked(far / "two.conf") == (0, "")


def lab_link(lab, *options, net_a=None):
    """The files of both sites of the lab."""
    gatewayctl("link", lab.a.name, lab.b.name, "--dir", lab.directory, *options,
               "--net-a", net_a or lab.a.networks[0], "--net-b", lab.b.networks[0])
    return [lab.directory / f"{site.name}.conf" for site in lab.sites]


def checked(file):
    done = subprocess.run([GATEWAY, "check", "--config", file], capture_output=True, text=True, timeout=10)
    return done.returncode, done.stderr


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}
