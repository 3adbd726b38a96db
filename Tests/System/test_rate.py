"""`Rate` in front of a thin link whose modem has half a second of buffer."""

import os
import re
import threading
import time

import pytest

from lab import Lab, link
from lab.traffic import send_tcp

FAULTS = {"rate": 2, "delay": 10, "queue": 500}


@pytest.mark.alone
def test_a_ping_beside_an_upload_does_not_wait_in_the_modem():
    with Lab(faults=FAULTS) as lab:
        with link(lab, peer=["Compression = auto"]) as pair:
            without, _ = beside_upload(lab)
            assert "queue" not in pair[0].peer()
        with link(lab, peer=["Compression = auto"], interface=["Rate = 1.9mbit"]) as pair:
            shaped, goodput = beside_upload(lab)
            assert pair[0].peer()["queue"]["rate"] == 0
        with link(lab, peer=["Rate = 1.9mbit"]) as pair:
            of_peer, _ = beside_upload(lab)
            assert pair[0].peer()["queue"]["rate"] == 1_900_000
    assert without > 150, "the modem's buffer was not full"
    assert shaped < without / 3
    assert of_peer < without / 3
    assert goodput > 1.2


def beside_upload(lab, seconds=6):
    """The median ping in ms while a host sends bytes that do not shrink, and the goodput in Mbit/s."""
    done = []
    sender = threading.Thread(
        target=lambda: done.append(
            send_tcp(lab.a.host, lab.b.host, lab.b.v4, os.urandom(1 << 20), seconds=seconds, timeout=60)), daemon=True)
    sender.start()
    time.sleep(2)
    said = lab.a.host.run("ping", "-n", "-c", 30, "-i", 0.1, "-W", 2, lab.b.v4, check=False).stdout
    sender.join()
    times = sorted(float(one) for one in re.findall(r"time=([\d.]+)", said))
    assert len(times) >= 20, said
    return times[len(times) // 2], done[0].megabits
