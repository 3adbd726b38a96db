"""Traffic by iperf3, from end a to end b of a bed or back."""

import contextlib
import json
import subprocess
from typing import NamedTuple

from lab import Daemon, wait_until

_PORT = 5201


class Transfer(NamedTuple):
    bytes: int
    seconds: float

    @property
    def gigabits(self):
        """Gbit/s, as the receiver saw it."""
        return self.bytes * 8 / self.seconds / 1e9


def tcp(bed, streams, seconds, backwards=False):
    """Sends for so long from a to b, or from b to a, with cubic: the system's default may be BBR, which paces."""
    options = ["-P", streams, "-C", "cubic", *(["-R"] if backwards else [])]
    with client(bed, seconds, *options) as process:
        end = _answer(process, seconds)
    used = {end.get("sender_tcp_congestion"), end.get("receiver_tcp_congestion")}
    assert used == {"cubic"}, f"congestion control was {used}"
    received = end["sum_received"]
    assert received["bytes"] > 0, "nothing arrived"
    return Transfer(received["bytes"], received["seconds"])


def udp(bed, size, seconds):
    """Sends datagrams of `size` bytes as fast as it can, and returns how many a second the receiving program got."""
    with client(bed, seconds, "-u", "-b", 0, "-l", size) as process:
        total = _answer(process, seconds)["sum"]
    arrived = total["packets"] - total["lost_packets"]
    assert arrived > 0, f"none of {total['packets']} datagrams arrived"
    return arrived / total["seconds"]


@contextlib.contextmanager
def client(bed, seconds, *options):
    """A running client at a, with its server at b; both are gone when the block ends."""
    server = Daemon(bed.b.gateway, bed.directory / "iperf3.log", ["iperf3", "-s", "-1", "-p", _PORT])
    with server:
        wait_until(lambda: _listens(bed.b.gateway), "iperf3 listens")
        command = bed.a.gateway.command(
            "iperf3", "-c", bed.b.tunnel_address, "-p", _PORT, "-J", "-t", seconds, "--connect-timeout", 3000, *options)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            server.process.kill()


def _listens(namespace):
    return namespace.run("ss", "-Hltn", f"sport = :{_PORT}").stdout != ""


def _answer(process, seconds):
    try:
        text, _ = process.communicate(timeout=seconds + 10)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"iperf3 did not end 10 s after its {seconds:g} s") from None
    try:
        answer = json.loads(text)
    except ValueError:
        raise AssertionError(f"iperf3 ended with {process.returncode} and no answer") from None
    assert "error" not in answer, f"iperf3: {answer['error']}"
    return answer["end"]
