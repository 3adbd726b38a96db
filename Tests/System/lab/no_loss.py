"""Pings that go through a tunnel all the time, and every one of which comes back, however late."""

import contextlib
import os
import socket
import struct
import threading

from .pace import Pace
from .waiting import wait_until

A_SECOND = 100
AROUND = 20
"""Pings before a block begins, and after its end."""
PATIENCE = 10
"""Seconds until one that has not come back is lost. The processor may be someone else's in between."""
_REQUEST, _REPLY, _IP = 8, 0, 20


@contextlib.contextmanager
def no_loss(lab, sender=None):
    """Pings from a site's host, A's by default, to the other's, while the block runs; fails if one of them is lost."""
    sender = sender or lab.a
    with _Pings(sender.host, lab.other(sender).v4) as pings:
        pings.wait_for_more(AROUND)
        yield
        pings.wait_for_more(AROUND)
        pings.stop()
        with contextlib.suppress(AssertionError):
            wait_until(lambda: len(pings.answered) == pings.sent, "all pings come back", PATIENCE)
        lost = set(range(pings.sent)) - pings.answered
        assert not lost, f"{len(lost)} of {pings.sent} pings were lost: {sorted(lost)[:20]}"


class _Pings:
    def __init__(self, namespace, address):
        self.sent, self.answered = 0, set()
        self._address, self._identifier = address, os.urandom(2)
        self._socket = namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._socket.settimeout(0.1)
        self._is_ending, self._is_over = threading.Event(), threading.Event()
        self._sender, self._receiver = (threading.Thread(target=work, daemon=True) for work in (self._send, self._receive))

    def __enter__(self):
        self._receiver.start()
        self._sender.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self._is_over.set()
        self._receiver.join()
        self._socket.close()

    def stop(self):
        """Sends no more."""
        self._is_ending.set()
        self._sender.join()

    def wait_for_more(self, count):
        """Waits until so many more were sent."""
        wanted = self.sent + count
        wait_until(lambda: self.sent >= wanted, f"{count} pings are sent", interval=1 / A_SECOND)

    def _send(self):
        pace = Pace(A_SECOND)
        while not self._is_ending.is_set():
            self._socket.sendto(self._request(self.sent), (self._address, 0))
            self.sent += 1
            pace.wait()

    def _request(self, number):
        head, body = (self._identifier + struct.pack(">H", number & 0xFFFF), struct.pack(">I", number) + bytes(range(4, 56)))
        checksum = 0xFFFF - int.from_bytes(bytes([_REQUEST, 0]) + head + body, "big") % 0xFFFF
        return bytes([_REQUEST, 0]) + struct.pack(">H", checksum) + head + body

    def _receive(self):
        while not self._is_over.is_set():
            with contextlib.suppress(TimeoutError):
                said = self._socket.recv(2048)[_IP:]
                if said[0] == _REPLY and said[4:6] == self._identifier:
                    self.answered.add(struct.unpack(">I", said[8:12])[0])
