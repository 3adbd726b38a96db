"""`wg-quick` with `gateway` where wireguard-go was: up, save, strip, down, and nothing is left."""

import os

import pytest

from lab import Keys, Namespace, wait_until, watchdog
from lab.gateway import GATEWAY

pytestmark = pytest.mark.fast

OTHER = Keys()


@pytest.fixture
def namespace():
    with Namespace("quick") as namespace:
        namespace.sysctl(ipv6__conf__default__accept_dad=0)
        namespace.run("ip", "link", "add", "wire", "type", "veth", "peer", "far")
        namespace.run("ip", "link", "set", "far", "up")
        namespace.run("ip", "address", "add", "192.0.2.1/24", "dev", "wire")
        namespace.run("ip", "link", "set", "wire", "up")
        namespace.run("ip", "route", "add", "default", "via", "192.0.2.2")
        namespace.wait_for_link_local("wire", "far")
        yield namespace


def write(directory, interface="", allowed="10.7.0.0/16, fd07::/16"):
    path = directory / f"{watchdog.mark()}q.conf"
    path.write_text(f"""[Interface]
PrivateKey = {Keys().private}
Address = 10.6.0.1/24, fd06::1/64
ListenPort = 51999
{interface}

[Peer]
PublicKey = {OTHER.public}
AllowedIPs = {allowed}
Endpoint = 192.0.2.9:51820
PersistentKeepalive = 25
""")
    path.chmod(0o600)
    return path


def quick(namespace, command, path):
    environment = {**os.environ, "WG_QUICK_USERSPACE_IMPLEMENTATION": str(GATEWAY),
                   "GATEWAY_RUN_DIR": str(path.parent)}
    return namespace.run("wg-quick", command, path, env=environment)


@pytest.mark.parametrize("allowed", ["10.7.0.0/16, fd07::/16", "0.0.0.0/0, ::/0"])
def test_up_and_down_leave_nothing(namespace, tmp_path, allowed):
    path = write(tmp_path, allowed=allowed)
    before = namespace.state()
    quick(namespace, "up", path)
    shown = namespace.run("wg", "show", path.stem).stdout
    assert OTHER.public in shown and "listening port: 51999" in shown and "every 25 seconds" in shown
    addresses = namespace.run("ip", "address", "show", path.stem).stdout
    assert "10.6.0.1/24" in addresses and "UP" in addresses
    if "/0" in allowed:
        assert "fwmark: 0xca6c" in shown
        assert f"dev {path.stem}" in namespace.run("ip", "route", "get", "198.51.100.1").stdout
        assert "dev wire" in namespace.run("ip", "route", "get", "198.51.100.1", "mark", 51820).stdout
        rx, tx = namespace.run("wg", "show", path.stem, "transfer").stdout.split("\t")[1:]
        assert int(tx) < 2000, "the tunnel's own datagrams go through the tunnel"
    quick(namespace, "down", path)
    wait_until(lambda: namespace.state() == before, "everything is as it was", timeout=5)
    assert not os.path.exists(f"/var/run/wireguard/{path.stem}.sock")


def test_save_writes_what_is_there_and_strip_what_wg_knows(namespace, tmp_path):
    path = write(tmp_path, interface="SaveConfig = true")
    quick(namespace, "up", path)
    new = Keys().public
    namespace.run("wg", "set", path.stem, "peer", new, "allowed-ips", "10.8.0.0/16")
    quick(namespace, "save", path)
    saved = path.read_text()
    assert new in saved and "10.8.0.0/16" in saved and OTHER.public in saved and "ListenPort = 51999" in saved
    stripped = quick(namespace, "strip", path).stdout
    assert "Address" not in stripped and new in stripped
    file = tmp_path / "stripped"
    file.write_text(stripped)
    namespace.run("wg", "syncconf", path.stem, file)
    assert new in namespace.run("wg", "show", path.stem, "peers").stdout
    quick(namespace, "down", path)
    assert new in path.read_text()
