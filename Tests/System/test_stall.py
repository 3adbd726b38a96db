"""What is slow beside the data path, a disk or a crowd at the control socket, holds up no packet."""

import base64
import errno
import os
import signal
import socket
import threading

import pytest

from lab import Keys, Lab, link, wait_until, wait_until_up
from lab.gateway import Gateway, gateway, write_config


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


def test_a_disk_that_hangs_while_a_key_is_stored_stops_no_packet(lab):
    key_file = lab.directory / f"{lab.a.name}.key"
    keep_key(lab.a, key_file)
    config = write_config(lab, lab.a, peer=("#: Name = far",))
    config.write_text(config.read_text().replace(
        f"PrivateKey = {lab.a.keys.private}", f"#: PrivateKeyFile = {key_file}"))
    new = Keys()
    with Gateway(lab, lab.a, config) as a, gateway(lab, lab.b) as b:
        wait_until_up(lab, a, b)
        # Whoever reads it waits for what is written.
        key_file.unlink()
        os.mkfifo(key_file, 0o600)
        setting = Setting(a, new.private)
        setting.start()
        with wait_until(lambda: disk_of(key_file), "the daemon reads the file") as disk:
            # What it does to the file afterwards is quick again.
            keep_key(lab.a, key_file)
            # A new session: who made it is logged by name.
            handshakes = a.log.count("far: handshake done")
            b.stop()
            b.start()
            wait_until(lambda: lab.ping(lab.b, lab.a.v4), "a ping from host to host comes back", timeout=20)
            wait_until(lambda: a.log.count("far: handshake done") > handshakes, "the log names the peer")
            assert a.stats()["publicKey"] == lab.a.keys.public, "the old key holds until the new one is stored"
            assert lab.ping(lab.a, lab.b.v4, count=3)
            assert setting.is_alive()
            disk.write(lab.a.keys.private.encode() + b"\n")
        setting.join(10)
        assert setting.done.returncode == 0, setting.done.stderr
        assert key_file.read_text() == new.private + "\n" and a.stats()["publicKey"] == new.public
        lab.a.keys = new


@pytest.fixture
def crowded(lab):
    """A gateway with a thousand peers that has been idle since."""
    extra = "".join(f"\n[Peer]\nPublicKey = {base64.b64encode(os.urandom(32)).decode()}\n"
                    f"AllowedIPs = 10.{64 + number // 256}.{number % 256}.0/24\n" for number in range(1000))
    with gateway(lab, lab.a, peer=(extra,)) as a:
        yield a


def test_sixty_who_ask_at_once_for_the_statistics_of_a_thousand_peers_share_the_answers(crowded):
    crowded.stats()
    before = busy(crowded)
    for _ in range(5):
        crowded.stats()
    one = (busy(crowded) - before) / 5
    # All of them wait when it goes on.
    crowded.process.send_signal(signal.SIGSTOP)
    clients = [client(crowded) for _ in range(60)]
    before = busy(crowded)
    crowded.process.send_signal(signal.SIGCONT)
    answers = [whole(connection) for connection in clients]
    assert all(answer.startswith(b"HTTP/1.1 200") and answer.count(b'"publicKey"') == 1002 for answer in answers)
    assert busy(crowded) - before < 25 * one, "the data thread did each of them by itself"


class Setting(threading.Thread):
    """`gatewayctl key set`, which waits as the daemon does."""

    def __init__(self, gateway, key):
        super().__init__()
        self.gateway, self.file = gateway, gateway.run_directory.parent / "new.key"
        self.file.write_text(key + "\n")
        self.file.chmod(0o600)

    def run(self):
        self.done = self.gateway.ctl("key", "set", self.file, check=False)


def keep_key(site, path):
    """Puts a file with the site's key in the place of whatever is there."""
    new = path.with_suffix(".made")
    new.write_text(site.keys.private + "\n")
    new.chmod(0o600)
    new.rename(path)


def disk_of(path):
    """The other end of a FIFO, if somebody reads it."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "wb")
    except OSError as error:
        assert error.errno == errno.ENXIO, error


def busy(one):
    """Nanoseconds of processor that the data thread has had."""
    with open(f"/proc/{one.process.pid}/task/{one.process.pid}/schedstat") as file:
        return int(file.read().split()[0])


def client(one):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(str(one.control))
    connection.sendall(b"GET /v1/stats HTTP/1.1\r\nHost: gateway\r\n\r\n")
    return connection


def whole(connection):
    with connection:
        answer = b""
        while piece := connection.recv(1 << 20):
            answer += piece
        return answer
