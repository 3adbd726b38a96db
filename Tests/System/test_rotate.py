"""`gatewayctl psk rotate` and `key rotate`: gateways go over to a new key, without a gap and in all files, or not at all."""

import base64
import contextlib
import json
import re
import signal
import subprocess

import pytest

from lab import Keys, Lab, link, wait_until, wait_until_up
from lab.api import ask
from lab.gateway import GATEWAYCTL, write_config
from lab.no_loss import no_loss

OLD = Keys().private
COMMENT = "# Anna has the password of the router.\n"


@pytest.fixture
def lab():
    with Lab(ipv6=False) as lab:
        yield lab


@contextlib.contextmanager
def linked(lab, compression="auto", **options):
    both = {"compression": compression} if compression else {}
    with link(lab, peer=("#: Name = far",), **both, **options) as ends:
        for one, site in zip(ends, (lab.a, lab.b)):
            write_config(lab, site, COMMENT + one.config.read_text())
        yield ends


def preshared(one):
    """The preshared keys in an end's file, by the name of the key."""
    return dict(re.findall(r"^(?:#: )?(PresharedKey\w*) = (\S+)$", one.config.read_text(), re.M))


def rest(text):
    return [line for line in text.splitlines() if "PresharedKey" not in line]


def is_done(one, other):
    return preshared(one).keys() == {"PresharedKey"} and preshared(one) == preshared(other)


@pytest.mark.parametrize("old", [OLD, None], ids=["an old key", "none before"])
def test_both_ends_have_a_new_key_and_no_ping_is_lost(lab, old):
    with linked(lab, preshared=old) as (ours, theirs):
        before, handshakes = [one.config.read_text() for one in (ours, theirs)], ours.peer()["handshakes"]
        with no_loss(lab), no_loss(lab, lab.b):
            assert ours.ctl("psk", "rotate", ours.name, "far").stdout == "far: both ends use a new preshared key\n"
            wait_until(lambda: is_done(ours, theirs), "both have the new key alone")
            first = preshared(ours)["PresharedKey"]
            # From the other end too, by its public key.
            done = theirs.ctl("psk", "rotate", theirs.name, lab.a.keys.public, "--json")
            assert json.loads(done.stdout) == {"state": "done"}
            wait_until(lambda: is_done(ours, theirs), "both have the next key alone")
        assert len({old, first, preshared(ours)["PresharedKey"]}) == 3
        assert ours.peer()["handshakes"] >= handshakes + 2
        for one, text in zip((ours, theirs), before):
            assert rest(one.config.read_text()) == rest(text)
            assert one.config.stat().st_mode & 0o777 == 0o600
            assert first not in one.log and preshared(one)["PresharedKey"] not in one.log
        for one in (ours, theirs):
            one.stop()
            one.start()
        wait_until_up(lab, ours, theirs)


@pytest.mark.parametrize("end", [0, 1], ids=["of the end that makes it", "of the other end"])
def test_a_capture_has_the_record_and_not_the_key(lab, tmp_path, end):
    file = tmp_path / "payloads.pcapng"
    with linked(lab) as ends:
        capture = subprocess.Popen(
            [GATEWAYCTL, "capture", "--payloads", file, ends[end].name, "--seconds", "4"], stderr=subprocess.PIPE,
            env={"GATEWAY_RUN_DIR": str(ends[end].run_directory)})
        wait_until(file.exists, "the capture has begun")
        ends[0].ctl("psk", "rotate", ends[0].name, "far")
        capture.communicate(timeout=20)
        key = base64.b64decode(preshared(ends[0])["PresharedKey"])
    bytes_ = file.read_bytes()
    assert key not in bytes_ and key[:8] not in bytes_
    heads = subprocess.run(["tshark", "-r", file, "-T", "fields", "-e", "data.data", "-e", "frame.len"],
                           capture_output=True, text=True, check=True).stdout.split("\n")
    assert {"1c012000", "1c022000"} <= {line[:8] for line in heads}, heads


def test_an_end_that_is_killed_before_it_is_answered_goes_on_where_it_was(lab):
    with linked(lab, preshared=OLD) as (ours, theirs):
        theirs.process.send_signal(signal.SIGSTOP)
        asking = subprocess.Popen([GATEWAYCTL, "psk", "rotate", ours.name, "far"], stderr=subprocess.PIPE,
                                  env={"GATEWAY_RUN_DIR": str(ours.run_directory)})
        wait_until(lambda: preshared(ours).keys() == {"PresharedKey", "PresharedKeyNext"}, "the new key is written down")
        assert preshared(ours)["PresharedKey"] == preshared(theirs)["PresharedKey"] == OLD
        wanted = preshared(ours)["PresharedKeyNext"]
        ours.process.kill()
        ours.process.wait()
        asking.communicate()
        ours.start()
        theirs.process.send_signal(signal.SIGCONT)
        wait_until_up(lab, ours, theirs)
        wait_until(lambda: is_done(ours, theirs), "both have the new key alone", 30)
        assert preshared(ours)["PresharedKey"] == wanted
        assert lab.ping(lab.b, lab.a.v4)


def test_who_can_not_write_it_down_refuses_and_nothing_is_changed(lab):
    with linked(lab, preshared=OLD) as (ours, theirs):
        write_config(lab, lab.b, theirs.config.read_text() + "Nonsense = 1\n")
        before = [one.config.read_text() for one in (ours, theirs)]
        answer = ask(ours, "POST", "/v1/peers/far/rotate")
        assert (answer.status, answer.json["code"]) == (409, "notTaken"), answer.text
        assert [one.config.read_text() for one in (ours, theirs)] == before
        assert lab.ping(lab.a, lab.b.v4)


def test_a_stock_peer_is_refused_in_a_line_and_nothing_is_changed(lab):
    with linked(lab, compression=None, a={"compression": "auto"}, preshared=OLD) as (ours, theirs):
        check_refused(ours, "far is no gateway, or says nothing to us, and takes no new key through the tunnel")
        assert lab.ping(lab.a, lab.b.v4)


def test_a_peer_that_does_not_answer_is_refused_in_a_line_and_nothing_is_changed(lab):
    with linked(lab, preshared=OLD) as (ours, theirs):
        theirs.stop()
        ours.stop()
        ours.start()
        check_refused(ours, "far does not answer")


# A private key.


def public(one):
    return dict(re.findall(r"^(?:#: )?(PublicKey\w*) = (\S+)$", one.config.read_text(), re.M))


def test_an_end_has_a_new_private_key_its_peer_knows_it_and_no_ping_is_lost(lab):
    with linked(lab, preshared=OLD) as (ours, theirs):
        before = [one.config.read_text() for one in (ours, theirs)]
        with no_loss(lab), no_loss(lab, lab.b):
            told = ours.ctl("key", "rotate", ours.name).stdout.strip()
            wait_until(lambda: public(theirs) == {"PublicKey": told}, "it is written down there")
        assert told == ours.ctl("key", "show", ours.name).stdout.strip() != lab.a.keys.public
        wait_until(lambda: theirs.peer()["publicKey"] == told and theirs.has_handshake(), "the peer is known by it")
        for one, text in zip((ours, theirs), before):
            changed = [line for line in one.config.read_text().splitlines() if line not in text]
            assert len(changed) == 1 and len(one.config.read_text().splitlines()) == len(text.splitlines())
        assert not list(lab.directory.glob("*.next.key"))
        assert json.loads(ours.ctl("key", "show", ours.name, "--json").stdout) == {"publicKey": told}
        # From the other end, to the new key.
        theirs.ctl("key", "rotate", theirs.name, "--json")
        wait_until(lambda: public(ours).keys() == {"PublicKey"} and public(ours)["PublicKey"] != lab.b.keys.public, "and back")
        for one in (ours, theirs):
            one.stop()
            one.start()
        wait_until_up(lab, ours, theirs)


def test_an_end_that_is_killed_before_its_peer_has_the_key_goes_on_with_the_same(lab):
    with linked(lab, preshared=OLD) as (ours, theirs):
        theirs.process.send_signal(signal.SIGSTOP)
        asking = subprocess.Popen([GATEWAYCTL, "key", "rotate", ours.name], stderr=subprocess.PIPE,
                                  env={"GATEWAY_RUN_DIR": str(ours.run_directory)})
        next_key = ours.config.with_suffix(".next.key")
        wait_until(next_key.exists, "the new key is written down")
        assert next_key.stat().st_mode & 0o777 == 0o600
        ours.process.kill()
        ours.process.wait()
        asking.communicate()
        theirs.process.send_signal(signal.SIGCONT)
        ours.start()
        wait_until_up(lab, ours, theirs)
        wanted = subprocess.run([GATEWAYCTL, "pubkey"], stdin=next_key.open(), capture_output=True, text=True).stdout.strip()
        assert ours.ctl("key", "rotate", ours.name).stdout.strip() == wanted
        wait_until(lambda: public(theirs) == {"PublicKey": wanted}, "it is written down there")
        assert lab.ping(lab.a, lab.b.v4) and lab.ping(lab.b, lab.a.v4)


def test_who_can_not_be_told_of_a_new_key_is_named_and_left_behind_only_if_that_is_wanted(lab):
    with linked(lab, compression=None, a={"compression": "auto"}, preshared=OLD) as (ours, _):
        before = ours.config.read_text()
        done = ours.ctl("key", "rotate", ours.name, check=False)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 65 and "far is no gateway" in line and "nothing was changed" in line, line
        assert ours.config.read_text() == before
        done = ours.ctl("key", "rotate", ours.name, "--leave-behind")
        key = done.stdout.strip()
        assert f"tell far by hand: PublicKey = {key}" in done.stderr
        assert ours.ctl("key", "show", ours.name).stdout.strip() == key


def check_refused(one, text):
    before = one.config.read_text()
    done = one.ctl("psk", "rotate", one.name, "far", check=False)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 65 and text in line and "nothing was changed" in line, line
    assert one.config.read_text() == before
