"""Bad input gets one line that says what, where and what to do, a sysexits code, and leaves nothing half-made."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from lab import Keys, Namespace, wait_until, watchdog
from lab.attempt import gateway_command, refused
from lab.daemon import Daemon
from lab.gateway import GATEWAY

pytestmark = pytest.mark.fast

USAGE, NO_INPUT, UNAVAILABLE, PERMISSION, CONFIG = 64, 66, 69, 77, 78
GOOD = f"""[Interface]
PrivateKey = {Keys().private}
ListenPort = 51820
Address = 10.9.0.1/24

[Peer]
PublicKey = {Keys().public}
AllowedIPs = 10.2.0.0/24
"""


@pytest.fixture
def namespace():
    with Namespace("errors") as namespace:
        yield namespace


@pytest.fixture
def place():
    """A directory for config and run files that an unprivileged daemon can read as well."""
    directory = Path(tempfile.mkdtemp(prefix=watchdog.mark()))
    directory.chmod(0o755)
    (directory / "run").mkdir(mode=0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.parametrize("good, bad, words", [
    ("[Peer]", "[Peer]\nCompresion = auto", ["Compresion", "Compression"]),
    ("ListenPort", "ListenPrt", ["ListenPrt", "ListenPort"]),
    ("[Peer]", "#: Compresion = auto\n[Peer]", ["Compresion"]),
    ("10.2.0.0/24", "10.2.0.0/24, 10.2.0.300/32", ["10.2.0.300/32"]),
    ("ListenPort = 51820", "ListenPort = 70000", ["70000"]),
    ("[Peer]", "[Peer]\nCompression = fast", ["fast", "auto"]),
    ("[Peer]", "[Pear]", ["Pear", "Peer"]),
], ids=["unknown key", "misspelt key", "misspelt key in a comment", "address", "port", "value", "section"])
def test_a_line_that_it_does_not_understand_is_named(namespace, place, good, bad, words):
    config = write(place, GOOD.replace(good, bad, 1))
    answer = refused(namespace, config, place / "run")
    assert answer.code == CONFIG
    check_names(answer.line, config, line_of(config, words[0]), *words)


def test_a_public_key_of_the_wrong_length_is_named(namespace, place):
    config = write(place, GOOD.replace("PublicKey = ", "PublicKey = AAAA", 1))
    answer = refused(namespace, config, place / "run")
    assert answer.code == CONFIG
    check_names(answer.line, config, line_of(config, "PublicKey"), "PublicKey", "44")


def test_a_private_key_of_the_wrong_length_is_named_but_not_shown(namespace, place):
    config = write(place, GOOD.replace("PrivateKey = ", "PrivateKey = AAAA", 1))
    answer = refused(namespace, config, place / "run")
    assert answer.code == CONFIG
    check_names(answer.line, config, line_of(config, "PrivateKey"), "PrivateKey")
    assert GOOD.split("PrivateKey = ")[1].split()[0] not in answer.line


def test_two_peers_with_the_same_allowed_ips_are_named(namespace, place):
    config = write(place, GOOD + f"\n[Peer]\nPublicKey = {Keys().public}\nAllowedIPs = 10.3.0.0/24, 10.2.0.0/24\n")
    answer = refused(namespace, config, place / "run")
    assert answer.code == CONFIG
    check_names(answer.line, config, line_of(config, "10.3.0.0/24"), "10.2.0.0/24")


def test_a_missing_private_key_is_said(namespace, place):
    config = write(place, "".join(line for line in GOOD.splitlines(True) if not line.startswith("PrivateKey")))
    answer = refused(namespace, config, place / "run")
    assert answer.code == CONFIG
    assert str(config) in answer.line and "PrivateKey" in answer.line


def test_a_missing_file_is_named(namespace, place):
    config = place / f"{watchdog.mark()}none.conf"
    answer = refused(namespace, config, place / "run")
    assert answer.code in (NO_INPUT, CONFIG)
    assert str(config) in answer.line


def test_check_says_all_that_is_wrong_and_changes_nothing(namespace, place):
    config = write(place, GOOD.replace("ListenPort", "ListenPrt").replace("10.2.0.0/24", "10.2.0.0/99"))
    before = namespace.state()
    answer = gateway_command(namespace, "check", config, place / "run")
    assert answer.code == CONFIG
    assert len(answer.lines) == 2
    check_names(answer.lines[0], config, 3, "ListenPrt", "ListenPort")
    check_names(answer.lines[1], config, 8, "10.2.0.0/99")
    assert namespace.state() == before and os.listdir(place / "run") == []


def test_check_has_nothing_to_say_about_a_good_file(namespace, place):
    answer = gateway_command(namespace, "check", write(place, GOOD), place / "run")
    assert (answer.code, answer.lines) == (0, [])


def test_a_private_key_that_anyone_can_read_is_a_warning(namespace, place):
    config = write(place, GOOD)
    config.chmod(0o644)
    answer = gateway_command(namespace, "check", config, place / "run")
    assert answer.code == 0
    assert str(config) in answer.line and "warning" in answer.line.lower() and "chmod" in answer.line
    with running(namespace, place, config) as daemon:
        assert [line for line in daemon.log.splitlines() if str(config) in line and "chmod" in line]


def test_without_privilege_it_says_what_it_lacks(namespace, place):
    config = write(place, GOOD)
    nobody = ("--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
    for path in (config, place / "run"):
        os.chown(path, 65534, 65534)
    check_anyone_can_run_it(namespace, nobody)
    answer = refused(namespace, config, place / "run", wrap=("setpriv", *nobody))
    assert answer.code == PERMISSION
    assert "root" in answer.line or "CAP_NET_ADMIN" in answer.line


def test_without_dev_net_tun_it_says_so(namespace, place):
    hide = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$0" "$@"')
    answer = refused(namespace, write(place, GOOD), place / "run", wrap=hide)
    assert "/dev/net/tun" in answer.line


def test_an_interface_name_that_is_taken_is_left_alone(namespace, place):
    config = write(place, GOOD)
    namespace.run("ip", "link", "add", config.stem, "type", "veth", "peer", "name", "other")
    try:
        answer = refused(namespace, config, place / "run")
        assert config.stem in answer.line
    finally:
        namespace.run("ip", "link", "delete", config.stem)


def test_a_name_longer_than_an_interface_can_have_is_named(namespace, place):
    config = place / "a-name-of-more-than-15.conf"
    config.write_text(GOOD)
    config.chmod(0o600)
    answer = refused(namespace, config, place / "run")
    assert "a-name-of-more-than-15" in answer.line


def test_a_second_gateway_of_the_same_name_leaves_the_first_alone(namespace, place):
    config = write(place, GOOD)
    with running(namespace, place, config) as daemon:
        answer = refused(namespace, config, place / "run")
        assert config.stem in answer.line
        daemon.check_alive()
        with socket.socket(socket.AF_UNIX) as still_there:
            still_there.connect(str(place / "run" / f"{config.stem}.sock"))


@pytest.mark.parametrize("family, address", [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def test_a_port_in_use_is_named(namespace, place, family, address):
    with namespace.socket(family, socket.SOCK_DGRAM) as other:
        if family == socket.AF_INET6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind((address, 51820))
        answer = refused(namespace, write(place, GOOD), place / "run")
    assert "51820" in answer.line


def test_an_address_that_cannot_be_set_undoes_the_rest(namespace, place):
    namespace.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
    try:
        config = write(place, GOOD.replace("10.9.0.1/24", "10.9.0.1/24, fd00::1/64"))
        assert "fd00::1" in refused(namespace, config, place / "run").line
    finally:
        namespace.sysctl(ipv6__conf__all__disable_ipv6=0, ipv6__conf__default__disable_ipv6=0)


def test_a_command_line_that_makes_no_sense_is_a_usage_error():
    done = subprocess.run([GATEWAY, "run"], capture_output=True, text=True, timeout=10)
    assert done.returncode == USAGE and "--config" in done.stderr


def write(place, text):
    config = place / f"{watchdog.mark()}e.conf"
    config.write_text(text)
    config.chmod(0o600)
    return config


def line_of(config, text):
    return next(n for n, line in enumerate(config.read_text().splitlines(), 1) if text in line)


def check_names(line, config, number, *words):
    assert f"{config}:{number}" in line, f"{line!r} does not name {config}:{number}"
    for word in words:
        assert word in line, f"{line!r} does not say {word!r}"


def running(namespace, place, config):
    """A daemon that does come up."""
    daemon = Daemon(namespace, place / "log", [GATEWAY, "run", "--config", config],
                    {"GATEWAY_RUN_DIR": str(place / "run")}).start()

    def ready():
        daemon.check_alive()
        return (place / "run" / f"{config.stem}.sock").exists()

    wait_until(ready, "the daemon comes up")
    return daemon


def check_anyone_can_run_it(namespace, nobody):
    done = namespace.run("setpriv", *nobody, GATEWAY, "--version", check=False)
    assert done.returncode == 0, f"this test needs {GATEWAY} where nobody can run it: {done.stderr.strip()}"
