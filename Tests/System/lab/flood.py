"""Floods of handshake initiations, at a rate that is offered whatever becomes of it, from a network of their own.

    gateway's namespace  198.51.100.1 ======= 198.51.100.2  the flooder
"""

import base64
import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.namespace import Namespace  # noqa: E402
from page.noise import with_macs  # noqa: E402

KINDS = ("random", "mac1", "replay")
SIZE = 148
BATCH = 64
POOL = 64 * BATCH
SINGLY = 100_000
"""Up to so many a second they are sent one by one, beyond that in runs that the kernel cuts: else this process would
take the processor from those it floods, and offer less."""
_UDP_SEGMENT = 103


def initiations(kind, public_key, real):
    """So many different datagrams of the size of an initiation: random bytes, random but for a mac1 that is right for
    the gateway with that public key, or `real`, which it has seen."""
    head = struct.pack("<I", 1)
    if kind == "random":
        return [head + os.urandom(SIZE - 4) for _ in range(POOL)]
    if kind == "mac1":
        receiver = base64.b64decode(public_key)
        return [with_macs(head + os.urandom(SIZE - 36), receiver) for _ in range(POOL)]
    return [real] * POOL


class Outcome(NamedTuple):
    sent: int
    seconds: float
    """From the first to the last."""
    largest: int
    """Bytes of the largest reply."""
    replies: int
    bytes_sent: int
    bytes_replied: int
    """On the wire, with headers."""

    @property
    def rate(self):
        return self.sent / self.seconds


class Flooder:
    """Joined to a gateway's namespace for as long as the block runs."""

    def __init__(self, gateway, port):
        self.gateway, self.port = gateway, port

    def __enter__(self):
        self.namespace = Namespace("flood").__enter__()
        self.namespace.run("ip", "link", "add", "wire", "type", "veth", "peer", "flood", "netns", self.gateway.name)
        for namespace, device, number in ((self.namespace, "wire", 2), (self.gateway, "flood", 1)):
            namespace.run("ip", "address", "add", f"198.51.100.{number}/24", "dev", device)
            namespace.run("ip", "link", "set", device, "up")
        return self

    def __exit__(self, *_):
        self.namespace.__exit__(*_)

    def start(self, datagrams, rate, seconds):
        """A flood that runs by itself; `end` waits for it."""
        return _Flood(self, datagrams, rate, seconds)

    def counters(self):
        """Bytes sent, datagrams received, bytes received."""
        (link,) = json.loads(self.namespace.run("ip", "-j", "-s", "link", "show", "wire").stdout)
        # The link counts a run of datagrams once.
        names, values = (line.split()[1:] for line in self.namespace.run("cat", "/proc/net/snmp").stdout.splitlines()
                         if line.startswith("Udp:"))
        udp = dict(zip(names, map(int, values)))
        received = udp["InDatagrams"] + udp["NoPorts"] + udp["InErrors"]
        return link["stats64"]["tx"]["bytes"], received, link["stats64"]["rx"]["bytes"]


class _Flood:
    def __init__(self, flooder, datagrams, rate, seconds):
        self.flooder, self.before = flooder, flooder.counters()
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"".join(datagrams))
            file.flush()
            self.process = subprocess.Popen(
                flooder.namespace.command(
                    sys.executable, __file__, "198.51.100.1", flooder.port, rate, seconds, file.name),
                stdout=subprocess.PIPE, text=True)
            assert self.process.stdout.readline() == "begun\n"

    def cancel(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        text, _ = self.process.communicate(timeout=60)
        sent, seconds, largest = json.loads(text)
        time.sleep(0.1)
        bytes_sent, replies, bytes_replied = (
            after - before for after, before in zip(self.flooder.counters(), self.before))
        return Outcome(sent, seconds, largest, replies, bytes_sent, bytes_replied)


# MARK: the process


class _Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    """struct mmsghdr"""
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint), ("pieces", ctypes.POINTER(_Piece)),
                ("piece_count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("sent", ctypes.c_uint)]


def main(address, port, rate, seconds, path):
    with open(path, "rb") as file:
        memory = ctypes.create_string_buffer(file.read())
    run = 1 if rate <= SINGLY else BATCH
    starts = range(0, POOL, run)
    pieces = (_Piece * POOL)(*((ctypes.addressof(memory) + SIZE * n, SIZE * run) for n in starts))
    messages = (_Message * POOL)(*((None, 0, ctypes.pointer(piece), 1, None, 0, 0, 0) for piece in pieces))
    count = BATCH // run
    batches = [ctypes.byref(messages, ctypes.sizeof(_Message) * n) for n in range(0, len(starts), count)]
    send = ctypes.CDLL(None, use_errno=True).sendmmsg
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        if run > 1:
            out.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, SIZE)
        out.connect((address, port))
        print("begun", flush=True)
        sent = largest = turn = 0
        start, now = time.monotonic(), 0
        while now < seconds:
            if sent < now * rate:
                sent += max(send(out.fileno(), batches[turn % len(batches)], count, 0), 0) * run
                turn += 1
                largest = max(largest, reply(out))
            else:
                time.sleep(0.0005)
            now = time.monotonic() - start
        time.sleep(0.1)
        while size := reply(out):
            largest = max(largest, size)
    print(json.dumps([sent, now, largest]))


def reply(out):
    """The size of one that has come, or 0."""
    try:
        return len(out.recv(2048, socket.MSG_DONTWAIT))
    except OSError:
        return 0


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
