"""SIGHUP: what changed in the file is applied, and what came another way is left alone."""

import shutil
import signal

import pytest

from lab import Keys, Lab, link, wait_until, wait_until_up


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


def reload(one):
    """Has it read its file again, and waits until it has."""
    done = one.log.count("reloaded: ")
    one.process.send_signal(signal.SIGHUP)
    wait_until(lambda: one.log.count("reloaded: ") > done, "the file was read again")


def rewrite(one, old, new):
    text = one.config.read_text()
    assert old in text
    one.config.write_text(text.replace(old, new))


def wg(one, *arguments, text=None):
    return one.namespace.run("wg", *arguments[:1], one.name, *arguments[1:], input=text).stdout


def test_a_key_that_wg_gave_stays_until_the_files_key_changes(lab):
    given, filed, set_by_ctl = Keys(), Keys(), Keys()
    with link(lab) as (a, _):
        wg(a, "set", "private-key", "/dev/stdin", text=given.private)
        reload(a)
        assert a.stats()["publicKey"] == given.public
        rewrite(a, lab.a.keys.private, filed.private)
        reload(a)
        assert a.stats()["publicKey"] == filed.public
        secret = lab.directory / "new.key"
        secret.write_text(set_by_ctl.private + "\n")
        secret.chmod(0o600)
        a.ctl("key", "set", secret)
        wg(a, "set", "private-key", "/dev/stdin", text=given.private)
        reload(a)
        assert a.stats()["publicKey"] == given.public


def test_a_peer_that_moved_stays_where_it_is_until_the_files_endpoint_changes(lab):
    with link(lab) as (a, b):
        filed = lab.b.endpoint
        wg(b, "set", "listen-port", 40_000)
        lab.ping(lab.b, lab.a.v4)
        moved = filed.replace("51820", "40000")
        wait_until(lambda: a.peer()["endpoint"] == moved, "the peer is known to have moved")
        rewrite(a, "AllowedIPs = ", "AllowedIPs = 10.77.0.0/16, ")
        reload(a)
        assert "10.77.0.0/16" in a.peer()["allowedIPs"] and a.peer()["endpoint"] == moved
        assert lab.ping(lab.a, lab.b.v4)
        rewrite(a, f"Endpoint = {filed}", f"Endpoint = {filed.replace('51820', '40001')}")
        reload(a)
        assert a.peer()["endpoint"] == filed.replace("51820", "40001")
        # One that wg took away comes back with what the file says.
        wg(a, "set", "peer", lab.b.keys.public, "remove")
        rewrite(a, "AllowedIPs = ", "AllowedIPs = 10.78.0.0/16, ")
        reload(a)
        assert a.peer()["endpoint"] == filed.replace("51820", "40001")


@pytest.mark.parametrize("what", ["the folder", "the socket", "the folder, which is another one then"])
def test_a_control_socket_that_was_removed_is_made_again(lab, what):
    with link(lab) as (a, b):
        if what == "the socket":
            a.control.unlink()
        elif what == "the folder":
            # The socket may be back before the folder is gone.
            shutil.rmtree(a.run_directory, ignore_errors=True)
        else:
            # The socket is still there, but elsewhere: nobody is told.
            a.run_directory.rename(a.run_directory.with_name("elsewhere"))
            a.process.send_signal(signal.SIGHUP)
        wait_until(a.control.exists, "the socket is back")
        wait_until_up(lab, a, b)
        assert a.control.stat().st_mode & 0o777 == 0o660
        assert a.name in a.ctl("stats").stdout
        # Once more.
        a.control.unlink()
        wait_until(a.control.exists, "the socket is back")
        assert a.stop() == 0
        assert not a.control.exists()
