"""Very many prefixes and peers over the UAPI, while packets go through the tunnel."""

import ctypes
import os
import re
import socket
import time
from base64 import b64decode

import pytest

from lab import Keys, Three
from page import noise

# No ping may be lost, and the seconds that it all takes are reported.
pytestmark = [pytest.mark.slow, pytest.mark.alone]

LONGEST_GAP = 0.02
"""Seconds between two replies that were asked for 10 ms apart; more than that is reported."""


@pytest.fixture
def three():
    with Three() as three:
        three.point(0, "127.0.0.1:20000")
        three.wait_until_up()
        yield three


def test_130_000_prefixes_are_set_and_read_while_no_ping_is_lost(three, tmp_path, record_property):
    end, peer = three.ends[0], three.keys[1].public
    own = end.wg("showconf")
    prefixes = [text for a in range(1, 256) if a != 10 for b in range(256)
                for text in (f"{a}.{b}.0.0/16", f"{a:x}:{b + 1:x}::/128")]
    assert len(prefixes) > 130_000
    file = tmp_path / "many.conf"
    file.write_text(own + "\n[Peer]\nPublicKey = " + Keys().public + "\n" + "".join(
        f"AllowedIPs = {','.join(prefixes[at:at + 2])}\n" for at in range(0, len(prefixes), 2)))
    file.chmod(0o600)
    times = {}

    def timed(what, *arguments):
        start = time.monotonic()
        answer = end.wg(*arguments)
        times[what] = time.monotonic() - start
        return answer

    idle = quiet(three)
    with Pings(three) as pings:
        timed("set", "syncconf", file)
        listed = timed("read", "show", "allowed-ips")
        assert sorted(re.split(r"[\t ]", listed.splitlines()[1])[1:]) == sorted(prefixes)
        timed("set again", "syncconf", file)
        key = next(line.split("\t")[0] for line in listed.splitlines() if peer not in line)
        timed("removed", "set", "peer", key, "remove")
    assert end.wg("show", "allowed-ips").count("\n") == 1
    report(record_property, f"{len(prefixes)} prefixes", times, idle, pings, end)


def test_5_000_peers_are_set_read_and_removed_while_no_ping_is_lost(three, record_property):
    end, empty = three.ends[0], three.ends[0].resident()
    keys = [os.urandom(32).hex() for _ in range(5000)]
    times = {}

    def timed(what, request):
        start = time.monotonic()
        answer = end.ask(request)
        times[what] = time.monotonic() - start
        assert answer.endswith("errno=0\n\n")
        return answer

    idle = quiet(three)
    with Pings(three) as pings:
        timed("set", "set=1\n" + "".join(
            f"public_key={key}\nendpoint=192.0.2.1:51820\nallowed_ip=172.{n // 256}.{n % 256}.0/24\n"
            for n, key in enumerate(keys)) + "\n")
        assert re.findall("public_key=(.*)", timed("read", "get=1\n\n"))[1:] == keys
        times["bytes a peer"] = (end.resident() - empty) / 5000
        timed("removed", "set=1\n" + "".join(f"public_key={key}\nremove=true\n" for key in keys) + "\n")
    report(record_property, "5000 peers", times, idle, pings, end)


def test_what_a_peer_costs_that_has_a_session(three, fast, record_property):
    end, public = three.ends[0], b64decode(three.keys[0].public)
    peers = [noise.Keys(os.urandom(32), public) for _ in range(5000)]
    empty = end.resident()
    assert end.ask("set=1\n" + "".join(
        f"public_key={peer.public.hex()}\nallowed_ip=172.{n // 256}.{n % 256}.0/24\n"
        for n, peer in enumerate(peers)) + "\n") == "errno=0\n\n"
    configured = end.resident()
    start = time.monotonic()
    with three.zero.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.settimeout(5)
        wire.connect(("127.0.0.1", 10000))
        for index, peer in enumerate(peers):
            initiation = noise.Initiation(peer, index)
            wire.send(initiation.datagram)
            # The first message on it makes the session the current one. What follows is the gateway's HELLO.
            while len(response := wire.recv(2048)) != 92:
                pass
            wire.send(initiation.finish(response).seal(b""))
    seconds = time.monotonic() - start
    assert sum(handshake != "0" for handshake in handshakes(end)) == 1 + len(peers)
    figures = (f"5000 peers: {(configured - empty) / 5000:.0f} bytes each, {(end.resident() - empty) / 5000:.0f} with a "
               f"session; handshakes one after the other in {seconds:.1f} s; resident {end.resident() / 1e6:.0f} MB")
    print(figures)
    record_property("figures", figures)
    assert end.ask("set=1\nreplace_peers=true\n\n") == "errno=0\n\n"


def handshakes(end):
    return re.findall("last_handshake_time_sec=(.*)", end.ask("get=1\n\n"))


@pytest.fixture
def fast(monkeypatch):
    """The protocol's page in Python does its own X25519, which takes a millisecond."""
    sodium = ctypes.CDLL("libsodium.so.23")

    def x25519(private, public=(9).to_bytes(32, "little")):
        product = ctypes.create_string_buffer(32)
        sodium.crypto_scalarmult_curve25519(product, private, public)
        return product.raw

    monkeypatch.setattr("page.noise.x25519", x25519)


class Pings:
    """Pings every 10 ms through the tunnel while the block runs."""

    def __init__(self, three):
        self.three = three

    def __enter__(self):
        import subprocess
        self.process = subprocess.Popen(
            self.three.one.command("ping", "-n", "-D", "-i", "0.01", "10.9.0.2"), stdout=subprocess.PIPE, text=True)
        time.sleep(0.3)
        return self

    def __exit__(self, kind, *_):
        time.sleep(0.3)
        self.process.send_signal(2)
        text = self.process.communicate()[0]
        self.slowest = max(float(ms) for ms in re.findall(r"time=([\d.]+)", text)) / 1000
        arrived = [float(at) for at in re.findall(r"^\[([\d.]+)\]", text, re.MULTILINE)]
        self.gaps = sorted(later - earlier for earlier, later in zip(arrived, arrived[1:]))
        numbers = [int(number) for number in re.findall(r"icmp_seq=(\d+)", text)]
        self.sent, self.received = (int(count) for count in re.search(
            r"(\d+) packets transmitted, (\d+) received", text).groups())
        assert kind or self.received >= self.sent - 1 and numbers == sorted(numbers), text[-300:]


def quiet(three):
    """Two seconds of pings while nothing else is asked of the daemon."""
    with Pings(three) as pings:
        time.sleep(2)
    return pings


def report(record_property, what, times, idle, pings, end):
    figures = f"{what}: " + ", ".join(
        f"{name} {value:.0f}" if value > 100 else f"{name} in {value:.2f} s" for name, value in times.items())
    for when, pings in (("before", idle), ("during", pings)):
        figures += (f"; {when}: {pings.sent} pings, {pings.sent - pings.received} lost, slowest {pings.slowest * 1000:.1f} ms, "
                    f"longest gap {pings.gaps[-1] * 1000:.1f} ms, "
                    f"{sum(gap > LONGEST_GAP for gap in pings.gaps)} over {LONGEST_GAP * 1000:.0f} ms")
    figures += f"; resident {end.resident() / 1e6:.0f} MB"
    print(figures)
    record_property("figures", figures)
