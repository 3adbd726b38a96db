"""TCP and UDP between the hosts, checked byte for byte."""

import contextlib
import hashlib
import random
import socket
import struct
import threading
import time
import zlib
from typing import NamedTuple

from .pace import Pace

_TCP_CONGESTION = 13
_CHUNK = 256 << 10
AHEAD = 64
"""Datagrams of a stream that may be on their way: some 90 KB, which every socket has room for."""


class Transfer(NamedTuple):
    bytes: int
    seconds: float

    @property
    def megabits(self):
        """Goodput in Mbit/s, as the receiver saw it."""
        return self.bytes * 8 / self.seconds / 1e6


def send_tcp(sender, receiver, address, payload, seconds=None, port=7001, timeout=120, progress=None):
    """Sends `payload` once over TCP, or around and around for `seconds`; fails unless it arrives unchanged.

    sender, receiver: namespaces. address: one of the receiver's. progress: called with the bytes sent so far.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(tcp_socket(receiver, address, timeout))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1)
        outcome = {}
        thread = threading.Thread(target=_receive_tcp, args=(listener, timeout, outcome), daemon=True)
        thread.start()
        connection = stack.enter_context(tcp_socket(sender, address, timeout))
        connection.connect((address, port))
        digest = hashlib.sha256()
        sent = 0
        for chunk in _chunks(payload, seconds):
            connection.sendall(chunk)
            digest.update(chunk)
            sent += len(chunk)
            if progress:
                progress(sent)
        connection.shutdown(socket.SHUT_WR)
        thread.join(timeout)
    assert "error" not in outcome, f"the receiver failed: {outcome['error']!r}"
    assert "digest" in outcome, f"the transfer did not end in {timeout} s"
    assert outcome["bytes"] == sent, f"{sent} bytes sent, {outcome['bytes']} arrived"
    assert outcome["digest"] == digest.digest(), f"{sent} bytes arrived changed"
    return Transfer(sent, outcome["seconds"])


def _receive_tcp(listener, timeout, outcome):
    try:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(timeout)
            digest, received, buffer = hashlib.sha256(), 0, memoryview(bytearray(_CHUNK))
            start = time.monotonic()
            while length := connection.recv_into(buffer):
                digest.update(buffer[:length])
                received += length
            outcome.update(bytes=received, seconds=time.monotonic() - start, digest=digest.digest())
    except OSError as error:
        outcome["error"] = error


def tcp_socket(namespace, address, timeout):
    made = namespace.socket(_family(address), socket.SOCK_STREAM)
    # The machine's default may be BBR, which paces and hides what a link can do.
    made.setsockopt(socket.IPPROTO_TCP, _TCP_CONGESTION, b"cubic")
    made.settimeout(timeout)
    return made


def _chunks(payload, seconds):
    view, end = memoryview(payload), seconds and time.monotonic() + seconds
    while True:
        for start in range(0, len(view), _CHUNK):
            yield view[start:start + _CHUNK]
            if end and time.monotonic() > end:
                return
        if not end:
            return


@contextlib.contextmanager
def udp_echo(namespace, address, port=7002):
    """Sends every datagram back to where it came from, while the block runs."""
    server = namespace.socket(_family(address), socket.SOCK_DGRAM)
    server.bind((address, port))
    server.settimeout(0.1)
    ending = threading.Event()

    def serve():
        while not ending.is_set():
            with contextlib.suppress(TimeoutError):
                data, source = server.recvfrom(65_535)
                server.sendto(data, source)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield (address, port)
    finally:
        ending.set()
        thread.join()
        server.close()


def ask_echo(namespace, target, data, attempts=6):
    """Sends `data` until it comes back whole: the first ones may be spent on learning the path's MTU."""
    with namespace.socket(_family(target[0]), socket.SOCK_DGRAM) as asker:
        asker.settimeout(0.5)
        for _ in range(attempts):
            asker.sendto(data, target)
            with contextlib.suppress(TimeoutError):
                return asker.recvfrom(65_535)[0]
    raise AssertionError(f"a datagram of {len(data)} bytes did not come back in {attempts} attempts")


class Stream(NamedTuple):
    sent: int
    received: list
    """Sequence numbers in the order of arrival."""
    damaged: int


def stream_udp(sender, receiver, address, payload, count=2000, a_second=2000, port=7003):
    """Sends numbered and checksummed datagrams of many sizes at a steady pace, or as they arrive if that is slower: no more
    than `AHEAD` are on their way, so that none is lost for want of a processor."""
    sizes = random.Random(1)
    with receiver.socket(_family(address), socket.SOCK_DGRAM) as into, \
            sender.socket(_family(address), socket.SOCK_DGRAM) as out:
        into.bind((address, port))
        into.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
        into.settimeout(1)
        received, damaged, pace, patient = [], 0, Pace(a_second), True

        def receive():
            nonlocal damaged
            data = into.recv(65_535)
            if struct.unpack(">I", data[-4:])[0] == zlib.crc32(data[:-4]):
                received.append(struct.unpack(">I", data[:4])[0])
            else:
                damaged += 1

        for number in range(count):
            try:
                while patient and number - (received[-1] if received else -1) > AHEAD:
                    receive()
            except TimeoutError:
                patient = False
            size, at = sizes.randint(0, 1380), sizes.randrange(len(payload) - 1380)
            body = struct.pack(">I", number) + payload[at:at + size]
            out.sendto(body + struct.pack(">I", zlib.crc32(body)), (address, port))
            pace.wait()
        with contextlib.suppress(TimeoutError):
            while len(received) + damaged < count:
                receive()
    return Stream(count, received, damaged)


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET
