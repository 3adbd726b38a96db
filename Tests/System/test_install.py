"""What `make install` puts where, and what the systemd unit does with it."""

import os
import signal
import subprocess

import pytest

from lab import Lab, wait_until
from lab.gateway import GATEWAY, REPOSITORY, gateway

UNIT = REPOSITORY / "packaging/gateway@.service"


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


def test_programs_unit_manual_pages_and_completions_are_installed_under_the_prefix_and_the_unit_knows_it(tmp_path):
    installed = make_install(tmp_path, PREFIX="/opt/tunnel")
    assert sorted(str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()) == [
        "bin/gateway", "bin/gatewayctl", "lib/systemd/system/gateway@.service", "lib/sysusers.d/gateway.conf",
        "lib/tmpfiles.d/gateway.conf",
        "share/bash-completion/completions/gateway", "share/bash-completion/completions/gatewayctl",
        "share/fish/vendor_completions.d/gateway.fish", "share/fish/vendor_completions.d/gatewayctl.fish",
        "share/man/man5/gateway.conf.5", "share/man/man8/gateway.8", "share/man/man8/gatewayctl.8",
        "share/zsh/site-functions/_gateway", "share/zsh/site-functions/_gatewayctl"]
    assert os.access(installed / "bin/gateway", os.X_OK)
    unit = installed / "lib/systemd/system/gateway@.service"
    assert unit.stat().st_mode & 0o777 == 0o644
    programs = [command.split()[0] for command in commands(unit, "ExecStart") + commands(unit, "ExecReload")]
    assert programs == ["/opt/tunnel/bin/gateway", "/opt/tunnel/bin/gateway", "/bin/kill"]
    for shell, file in {"bash": "bash-completion/completions/gatewayctl", "zsh": "zsh/site-functions/_gatewayctl",
                        "fish": "fish/vendor_completions.d/gatewayctl.fish"}.items():
        done = subprocess.run([installed / "bin/gatewayctl", "--generate-completion-script", shell],
                              capture_output=True, text=True, check=True)
        assert (installed / "share" / file).read_text() == done.stdout


def test_a_swift_runtime_in_somebodys_home_can_be_read_by_the_service(tmp_path):
    (tmp_path / "bin").mkdir()
    ldd = tmp_path / "bin/ldd"
    ldd.write_text("#!/bin/sh\necho 'libswiftCore.so => /root/swift/libswiftCore.so (0x1)'\n")
    ldd.chmod(0o755)
    for path, word in ((f"{tmp_path}/bin:{os.environ['PATH']}", "read-only"), (os.environ["PATH"], "yes")):
        installed = make_install(tmp_path / word, PREFIX="/usr", PATH=path)
        assert commands(installed / "lib/systemd/system/gateway@.service", "ProtectHome") == [word]


def test_the_unit_has_no_mistakes_and_leaves_little_exposed(tmp_path):
    copy = tmp_path / UNIT.name
    # The programs and pages are not installed here.
    lines = UNIT.read_text().replace("/usr/local/bin/gateway", str(GATEWAY)).splitlines()
    copy.write_text("\n".join(line for line in lines if not line.startswith("Documentation=")))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
    assert "gateway" not in done.stderr, done.stderr
    # In tenths. What is left is what a tunnel and its hooks need, and the right to become another user.
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", copy], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.fast
def test_a_reload_of_a_bad_file_fails_and_the_daemon_is_not_told(lab):
    with gateway(lab, lab.a) as a:
        good = a.config.read_text()
        a.config.write_text(good.replace("ListenPort", "ListenPrt"))
        assert reload(a).returncode == 78
        assert "reload" not in a.log
        a.config.write_text(good)
        assert reload(a).returncode == 0
        wait_until(lambda: "reloaded" in a.log, "the reload is done")


def test_the_unit_starts_a_gateway_again_whose_interface_was_deleted(lab):
    (not_again,) = commands(UNIT, "RestartPreventExitStatus")
    assert commands(UNIT, "Restart") == ["on-failure"]
    with gateway(lab, lab.a) as a:
        lab.a.gateway.run("ip", "link", "del", a.name)
        code = a.process.wait(10)
        assert code != 0 and str(code) not in not_again.split()
        a.start()
        assert a.stop(signal.SIGTERM) == 0


def make_install(destination, **variables):
    """Installs the programs under test; the folder that is the prefix."""
    words = [f"{name}={value}" for name, value in variables.items()]
    subprocess.run(["make", "install-built", f"DESTDIR={destination}", f"BUILT={GATEWAY.parent}", "SUDO=", *words],
                   cwd=REPOSITORY, check=True, capture_output=True, timeout=60)
    return destination / variables["PREFIX"].lstrip("/")


def commands(unit, key):
    """The values of a key of a unit, in order, without what stands before a program to say as whom it runs."""
    lines = [line.partition("=") for line in unit.read_text().splitlines() if not line.startswith("#")]
    return [value.lstrip("!+-") for name, _, value in lines if name == key]


def reload(one):
    """Does for a running gateway what `systemctl reload` would: one command after the other, until one fails."""
    for command in commands(UNIT, "ExecReload"):
        words = command.replace("/usr/local/bin/gateway", str(GATEWAY)).replace(
            "/etc/gateway/%i.conf", str(one.config)).replace("$MAINPID", str(one.process.pid)).split()
        done = subprocess.run(words, capture_output=True, text=True, timeout=10)
        if done.returncode:
            break
    return done
