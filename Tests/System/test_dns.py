"""`DNS =`: handed to resolvconf, also where the unit leaves little of /etc to be written, and taken back."""

import shutil

import pytest

from lab import Daemon, Keys, Namespace, wait_until, watchdog
from lab.attempt import refused
from lab.gateway import GATEWAY, REPOSITORY

UNIT = REPOSITORY / "packaging/gateway@.service"

RESOLVCONF = """#!/bin/sh
# In three steps, as openresolv: keep the file that is not ours, write ours, write the kept one back.
case $1 in
-a) { echo '# resolvconf'; cat; } >/tmp/$$.new
    grep -q '^# resolvconf' /etc/resolv.conf || cp /etc/resolv.conf /etc/resolv.conf.bak || exit 1 ;;
-d) cp /etc/resolv.conf.bak /tmp/$$.new || exit 1 ;;
esac
cat /tmp/$$.new >/etc/resolv.conf && rm /tmp/$$.new
"""


@pytest.fixture
def namespace():
    with Namespace("dns") as namespace:
        yield namespace


@pytest.fixture
def etc(tmp_path):
    """A folder that will be /etc, with a config file for the unit."""
    etc = tmp_path / "etc"
    # Hosts files of namespaces come and go while others are tested.
    shutil.copytree("/etc", etc, symlinks=True, ignore=shutil.ignore_patterns("netns"))
    (etc / "resolv.conf").unlink()
    (etc / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    (etc / "gateway").mkdir()
    config = etc / "gateway" / f"{watchdog.mark()}n.conf"
    config.write_text(f"""[Interface]
PrivateKey = {Keys().private}
Address = 10.9.0.1/24
DNS = 10.9.0.53, example.org
""")
    config.chmod(0o600)
    return etc


def settings(key):
    """The values of a key of the unit."""
    lines = UNIT.read_text().splitlines()
    return [line.split("=", 1)[1] for line in lines if line.startswith(f"{key}=")]


def as_the_unit(etc, name):
    """What makes /etc as the unit has it, and then runs the rest of a command line."""
    assert settings("ProtectSystem") == ["strict"]
    steps = [f"mount --bind {etc} /etc"]
    for command in settings("ExecStartPre"):
        if "systemd-tmpfiles" in command:
            continue
        steps.append(f"{command.lstrip('-+')} || :".replace("%i", name))
    steps += [f"mount --bind {etc} {etc}", "mount -o remount,bind,ro /etc"]
    for path in " ".join(settings("ReadWritePaths")).split():
        path = path.lstrip("-")
        if path.startswith("/etc/"):
            steps.append(f"if [ -e {path} ]; then mount --bind {etc}/{path[5:]} {path}; fi")
    return ["unshare", "--mount", "sh", "-ec", "\n".join([*steps, 'exec "$0" "$@"'])]


def program(tmp_path, text):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "resolvconf").write_text(text)
    (folder / "resolvconf").chmod(0o755)
    return ["env", f"PATH={folder}:/usr/sbin:/usr/bin:/sbin:/bin"]


def test_name_servers_come_and_go_under_the_unit(namespace, etc, tmp_path):
    name = next((etc / "gateway").iterdir()).stem
    (tmp_path / "run").mkdir()
    command = [*as_the_unit(etc, name), *program(tmp_path, RESOLVCONF), GATEWAY, "run", "--config",
               f"/etc/gateway/{name}.conf"]
    resolv = etc / "resolv.conf"
    with Daemon(namespace, tmp_path / "log", command, {"GATEWAY_RUN_DIR": str(tmp_path / "run")}) as daemon:
        def is_set():
            daemon.check_alive()
            return "nameserver 10.9.0.53" in resolv.read_text()

        wait_until(is_set, "the tunnel's name server is used")
        assert "search example.org" in resolv.read_text()
        assert daemon.stop() == 0
    assert resolv.read_text() == "nameserver 192.0.2.53\n"


def test_a_post_up_that_fails_takes_the_name_servers_back(namespace, etc, tmp_path):
    config = next((etc / "gateway").iterdir())
    config.write_text(config.read_text() + "PostUp = false\n")
    (tmp_path / "run").mkdir()
    wrap = [*as_the_unit(etc, config.stem), *program(tmp_path, RESOLVCONF)]
    answer = refused(namespace, config, tmp_path / "run", wrap=wrap)
    assert "PostUp failed with status 1" in answer.lines[-1]
    assert (etc / "resolv.conf").read_text() == "nameserver 192.0.2.53\n"


@pytest.mark.parametrize("text", ["#!/bin/sh\ncat >/dev/null\nexit 1\n", None], ids=["refuses", "is missing"])
def test_a_resolvconf_that_fails_ends_the_start_and_is_named(namespace, etc, tmp_path, text):
    config = next((etc / "gateway").iterdir())
    (tmp_path / "run").mkdir()
    answer = refused(namespace, config, tmp_path / "run", wrap=program(tmp_path, text or "#!/absent\n"))
    assert answer.code == 69
    assert "DNS" in answer.lines[-1] and "resolvconf" in answer.lines[-1] and "/etc/resolv.conf" in answer.lines[-1]
