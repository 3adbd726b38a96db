"""`gatewayctl invite` and `gatewayctl join`: from nothing to the first ping, with one paste each way; pictures that others read."""

import base64
import json
import os
import re
import subprocess
import time

import pytest

from lab import Lab, wait_until
from lab.gateway import GATEWAYCTL

pytestmark = pytest.mark.fast


@pytest.fixture(scope="module")
def lab():
    with Lab(ipv6=False) as lab:
        yield lab


def ctl(*arguments, directory, said="", check=True):
    done = subprocess.run([GATEWAYCTL, *map(str, arguments)], input=said, capture_output=True, text=True, timeout=30, cwd=directory,
                          env={**os.environ, "GATEWAY_RUN_DIR": str(directory)})
    assert not check or done.returncode == 0, done.stderr
    return done


def invite(directory, *arguments, name="branch", check=True):
    return ctl("invite", name, "--later", "--endpoint", "192.0.2.1:51820", *arguments, directory=directory, check=check)


def test_two_fresh_machines_ping_each_other_after_two_commands(lab):
    """One command at each end: what each prints is pasted at the other."""
    folders = []
    for letter in "ab":
        folder = lab.directory / f"fresh-{letter}"
        folder.mkdir()
        folders.append(folder)
    names = f"i{os.getpid() % 100000}a", f"i{os.getpid() % 100000}b"

    def begin(site, folder, *words):
        return subprocess.Popen(
            [*site.gateway.command(), GATEWAYCTL, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
            env={**os.environ, "GATEWAY_RUN_DIR": str(folder)})

    started = time.monotonic()
    hub = begin(lab.a, folders[0], "invite", names[1], "--site", names[0], "--endpoint", lab.a.endpoint, "--run")
    branch = begin(lab.b, folders[1], "join", "--run")
    try:
        invitation = hub.stdout.readline()
        branch.stdin.write(invitation)
        branch.stdin.close()
        answer = branch.stdout.readline()
        hub.stdin.write(answer)
        hub.stdin.close()
        wait_until(lambda: lab.b.gateway.run("ping", "-c", "1", "-W", "1", "10.86.0.1", check=False).returncode == 0,
                   "a ping comes back", timeout=30)
        print(f"first ping {time.monotonic() - started:.1f} s after the first command")
        key = re.search("PrivateKey = (.*)", (folders[1] / f"keys/{names[1]}.conf").read_text())[1]
        assert key not in invitation + answer and (folders[1] / f"keys/{names[1]}.conf").stat().st_mode & 0o777 == 0o600
        assert not (folders[0] / f"keys/{names[1]}.invite").exists()
    finally:
        for process in (hub, branch):
            process.terminate()
            process.wait()


def test_an_invitation_that_is_cut_off_or_old_or_answered_by_another_is_refused(tmp_path, monkeypatch):
    one = invite(tmp_path).stdout
    assert one.startswith("gateway-invitation-1.")
    there = tmp_path / "there"
    there.mkdir()
    for wrong in ("", "hello\n", one[: len(one) // 2], one.replace("gateway-invitation-1", "gateway-invitation-2")):
        done = ctl("join", directory=there, said=wrong, check=False)
        assert done.returncode in (65, 66) and len(done.stderr.splitlines()) == 1 and not (there / "keys").exists(), done.stderr
    # A terminal may break the line.
    answer = ctl("join", directory=there, said=one[:80] + "\n" + one[80:]).stdout
    assert ctl("join", directory=there, said=one, check=False).returncode == 73, "nothing is overwritten"
    again = invite(tmp_path).stdout
    assert again != one
    done = ctl("invite", "branch", "--answer", directory=tmp_path, said=answer, check=False)
    assert done.returncode == 65 and "not to the last invitation" in done.stderr
    text = (tmp_path / "keys/hub.conf").read_text()
    assert "[Peer]" not in text


def test_what_has_expired_is_refused_at_both_ends(tmp_path):
    mark, _, digits = invite(tmp_path).stdout.strip().partition(".")
    told = json.loads(base64.urlsafe_b64decode(digits + "==")) | {"expires": 1}

    def line(mark, value):
        return f"{mark}." + base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=") + "\n"

    old = line(mark, told)
    (tmp_path / "keys/branch.invite").write_text(old)
    there = tmp_path / "there"
    there.mkdir()
    done = ctl("join", directory=there, said=old, check=False)
    assert done.returncode == 65 and "expired" in done.stderr and not (there / "keys").exists()
    answer = line("gateway-answer-1", {"id": told["id"], "publicKey": told["publicKey"]})
    done = ctl("invite", "branch", "--answer", directory=tmp_path, said=answer, check=False)
    assert done.returncode == 65 and "expired" in done.stderr, done.stderr
    assert not (tmp_path / "keys/branch.invite").exists() and "[Peer]" not in (tmp_path / "keys/hub.conf").read_text()


def read(text):
    """What a phone reads from a picture on the terminal."""
    rows = []
    for line in text.splitlines():
        if not re.fullmatch("[█▀▄ ]+", line):
            continue
        rows.append([character in "▄ " for character in line])
        rows.append([character in "▀ " for character in line])
    width = max(map(len, rows))
    scale = 4
    lines = []
    for row in rows:
        row = row + [False] * (width - len(row))
        lines += [" ".join("1" if dark else "0" for dark in row for _ in range(scale))] * scale
    picture = f"P1\n{width * scale} {len(rows) * scale}\n" + "\n".join(lines) + "\n"
    done = subprocess.run(["zbarimg", "-q", "--raw", "-Sbinary", "pbm:-"], input=picture.encode(), capture_output=True)
    return done.stdout.decode().strip()


def test_a_phone_reads_its_config_from_the_picture_and_is_a_peer_then(tmp_path):
    done = ctl("invite", "--phone", "phone", "--endpoint", "vpn.example:51820", "--dns", "10.86.0.1", directory=tmp_path)
    told = read(done.stdout)
    assert "[Interface]" in told and "Endpoint = vpn.example:51820" in told and "Address = 10.86.0.2/32" in told, told
    private = re.search("PrivateKey = (.*)", told)[1]
    public = subprocess.run(["wg", "pubkey"], input=private, capture_output=True, text=True).stdout.strip()
    assert f"PublicKey = {public}" in (tmp_path / "keys/hub.conf").read_text()
    assert private not in "".join(path.read_text() for path in (tmp_path / "keys").iterdir())
    again = read(ctl("invite", "--phone", "tablet", "--endpoint", "vpn.example:51820", directory=tmp_path).stdout)
    assert "Address = 10.86.0.3/32" in again


@pytest.mark.parametrize("hours", [1, 8760])
def test_the_picture_of_an_invitation_is_the_line(tmp_path, hours):
    nets = ",".join(f"10.{number}.0.0/16" for number in range(1, 1 + hours // 400))
    done = invite(tmp_path, "--qr", "--hours", hours, *(["--net", nets] if nets else []))
    line, _, picture = done.stdout.partition("\n")
    assert read(picture) == line


def test_who_is_there_already_is_not_invited_again_and_a_bad_site_changes_nothing(tmp_path):
    ctl("invite", "--phone", "branch", "--endpoint", "vpn.example:51820", directory=tmp_path)
    before = (tmp_path / "keys/hub.conf").read_text()
    done = invite(tmp_path, check=False)
    assert done.returncode == 73 and "branch" in done.stderr
    assert (tmp_path / "keys/hub.conf").read_text() == before and not (tmp_path / "keys/branch.invite").exists()
