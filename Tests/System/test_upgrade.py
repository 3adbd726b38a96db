"""Another process takes the place of one that runs: `gatewayctl upgrade`. Nobody outside notices."""

import contextlib
import os
import re
import signal
import subprocess
import time

import pytest

from lab import DropIn, Lab, Namespace, link, wait_until
from lab.gateway import GATEWAY, gateway

# Pings of which none may be lost.
pytestmark = pytest.mark.alone


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


def test_no_ping_is_lost_and_nobody_shakes_hands(lab):
    with link(lab, compression="auto") as (a, b):
        before = a.peer()
        process = running(a)
        with no_loss(lab), no_loss(lab, lab.b):
            for _ in range(3):
                upgrade(a)
        assert running(a) != process and a.process.poll() is None
        after = a.peer()
        assert after["handshakes"] == before["handshakes"] == b.peer()["handshakes"]
        assert after["latestHandshake"] == before["latestHandshake"]
        assert after["txBytes"] > before["txBytes"] and after["rxBytes"] > before["rxBytes"]


def upgrade(one, *arguments):
    done = one.ctl("upgrade", *arguments, one.name)
    found = re.search(r"process (\d+); packets waited ([\d.]+) ms", done.stdout)
    assert found, done.stdout
    return int(found[1]), float(found[2])


def running(one):
    """The process that carries packets."""
    return int(re.findall(r"took over: \S+ process (\d+)", one.log)[-1]) if "took over" in one.log else one.process.pid


@contextlib.contextmanager
def no_loss(lab, sender=None):
    """Pings from a site's host to the other's every ten milliseconds, all of which come back."""
    sender = sender or lab.a
    address = lab.other(sender).v4
    pings = subprocess.Popen(
        sender.host.command("ping", "-n", "-i", "0.01", address), stdout=subprocess.PIPE, text=True)
    time.sleep(0.2)
    try:
        yield
        time.sleep(0.2)
    finally:
        pings.send_signal(signal.SIGINT)
        said = pings.communicate(timeout=10)[0]
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", said).groups())
    # The last may be under way.
    assert sent > 20 and sent - received <= 1, said[-400:]
