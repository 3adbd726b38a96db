"""Ethernet frames, sent and received as they are."""

import contextlib
import random
import socket
import struct
import time

from .pace import Pace

EXPERIMENT = 0x88B5
"""The EtherType for local experiments (IEEE 802)."""
_HOSTS_OWN = (b"\x08\x00", b"\x08\x06", b"\x86\xdd")
"""What hosts send by themselves: IPv4, ARP, IPv6."""
BROADCAST = "ff:ff:ff:ff:ff:ff"
_ALL, _PACKET, _AUXILIARY_DATA = 3, 263, 8
_VLAN_VALID, _VLAN_TPID_VALID = 0x10, 0x40


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ethernet(target, source, payload, kind=EXPERIMENT, vlan=None):
    """A frame; vlan: the number in a tag (IEEE 802.1Q)."""
    tag = struct.pack(">HH", 0x8100, vlan) if vlan is not None else b""
    return mac(target) + mac(source) + tag + struct.pack(">H", kind) + payload


def llc(target, source, payload):
    """A frame with a length in the place of a type, and LLC behind it (IEEE 802.3, 802.2): no IP, as IS-IS and STP."""
    body = b"\xfe\xfe\x03" + payload
    return ethernet(target, source, body, kind=len(body))


def some(count, target, source, largest=1500):
    """Frames of all kinds and of many sizes, each unlike the others."""
    chance = random.Random(count)
    frames = []
    for number in range(count):
        body = struct.pack(">I", number) + chance.randbytes(chance.randint(42, largest - 4))
        make = (ethernet, llc, lambda *parts: ethernet(*parts, vlan=chance.randint(1, 4094)))[number % 3]
        frames.append(make(target, source, body[:largest - 3] if make is llc else body))
    return frames


class Port:
    """A host's interface, for frames."""

    def __init__(self, namespace, interface="lan"):
        self.socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
        self.socket.bind((interface, _ALL))
        self.socket.setsockopt(_PACKET, _AUXILIARY_DATA, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, frames, a_second=None):
        pace = a_second and Pace(a_second)
        for frame in frames:
            while True:
                try:
                    self.socket.send(frame)
                    break
                except OSError as error:
                    if error.errno != 105:  # no room in the queue
                        raise
                    time.sleep(0.001)
            if pace:
                pace.wait()

    def receive(self, source, count=None, seconds=3.0):
        """The frames from an address, but for IP and ARP: `count` of them, or until none has come for `seconds`."""
        frames = []
        self.socket.settimeout(seconds)
        deadline = time.monotonic() + seconds
        with contextlib.suppress(TimeoutError):
            while count is None or len(frames) < count:
                data, auxiliary, _, sender = self.socket.recvmsg(70_000, 64)
                # What we sent ourselves comes back to us, too.
                if sender[2] != 4 and data[6:12] == mac(source) and data[12:14] not in _HOSTS_OWN:
                    frames.append(self.whole(data, auxiliary))
                    deadline = time.monotonic() + seconds
                elif time.monotonic() > deadline:
                    break
        return frames

    @staticmethod
    def whole(data, auxiliary):
        """The frame with its tag, which the kernel takes out and hands over beside it."""
        for level, kind, content in auxiliary:
            if (level, kind) == (_PACKET, _AUXILIARY_DATA):
                status, _, _, _, _, tag, protocol = struct.unpack("=IIIHHHH", content[:20])
                if status & _VLAN_VALID:
                    protocol = protocol if status & _VLAN_TPID_VALID else 0x8100
                    return data[:12] + struct.pack(">HH", protocol, tag) + data[12:]
        return data
