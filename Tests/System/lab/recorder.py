"""A recorder of UDP datagrams on an interface, exact in bytes also when the kernel passes runs of them.

With segmentation offload a tap sees one frame for up to 64 datagrams. The virtio header that the kernel
puts before each frame (PACKET_VNET_HDR) says where the cuts are, so every datagram is recorded alone.
"""

import ipaddress
import socket
import struct
import threading
import time
from typing import NamedTuple

_SOL_PACKET, _PACKET_STATISTICS, _PACKET_VNET_HDR = 263, 6, 15
_SO_RCVBUFFORCE, _ETH_P_ALL = 33, 3
_VIRTIO = struct.Struct("<BBHHHH")
_GSO_UDP = 5


class Datagram(NamedTuple):
    at: float
    """Monotonic seconds."""
    source: str
    source_port: int
    destination: str
    destination_port: int
    size: int
    """Bytes of UDP payload."""
    data: bytes
    """The payload, or its beginning when the recorder keeps heads only."""

    @property
    def message_type(self):
        """1 initiation, 2 response, 3 cookie reply, 4 transport; of the first byte alone."""
        return self.data[0] if self.data else 0


class Recorder:
    """Records while the block runs. `whole` keeps all bytes, else the first 64 of each frame."""

    def __init__(self, namespace, interface, whole=False):
        self.datagrams = []
        self._buffer = memoryview(bytearray(70_000 if whole else _VIRTIO.size + 14 + 40 + 8 + 64))
        self._ending = threading.Event()
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 128 << 20)
        self._socket.settimeout(0.1)
        self._socket.bind((interface, _ETH_P_ALL))
        self._thread = threading.Thread(target=self._record, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._ending.set()
        self._thread.join()
        _, lost = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._socket.close()
        if kind is None:
            assert lost == 0, f"the recorder itself lost {lost} frames: the test proves nothing"

    def sent_by(self, address, *message_types):
        """The datagrams from that address, of these WireGuard message types if any are given."""
        return [d for d in list(self.datagrams)
                if d.source == address and (not message_types or d.message_type in message_types)]

    def bytes_sent_by(self, address, *message_types):
        """Bytes of UDP payload from that address."""
        return sum(d.size for d in self.sent_by(address, *message_types))

    def settle(self, quiet=0.4, timeout=10):
        """Waits until nothing new has been seen for `quiet` seconds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            seen = len(self.datagrams)
            time.sleep(quiet)
            if len(self.datagrams) == seen:
                return
        raise AssertionError(f"the wire did not fall quiet in {timeout} s")

    def _record(self):
        while not self._ending.is_set():
            try:
                length = self._socket.recv_into(self._buffer)
            except TimeoutError:
                continue
            self.datagrams.extend(_datagrams(self._buffer[:length], time.monotonic()))


def _datagrams(frame, at):
    _, gso_type, _, gso_size, _, _ = _VIRTIO.unpack_from(frame)
    packet = frame[_VIRTIO.size + 14:]
    if not packet:
        return
    version = packet[0] >> 4
    if version == 4 and packet[9] == 17 and struct.unpack_from(">H", packet, 6)[0] & 0x1FFF == 0:
        source, destination, udp = packet[12:16], packet[16:20], packet[(packet[0] & 15) * 4:]
    elif version == 6 and packet[6] == 17:
        source, destination, udp = packet[8:24], packet[24:40], packet[40:]
    else:
        return
    source_port, destination_port, length = struct.unpack_from(">HHH", udp)
    run, payload = length - 8, bytes(udp[8:])
    step = gso_size if gso_type & 0x7F == _GSO_UDP and gso_size else max(run, 1)
    source, destination = str(ipaddress.ip_address(bytes(source))), str(ipaddress.ip_address(bytes(destination)))
    for start in range(0, max(run, 1), step):
        size = min(step, run - start)
        # A head only: the datagrams of a run are alike in their first bytes (message type, index).
        data = payload[start:start + size] if start < len(payload) else payload[:16]
        yield Datagram(at, source, source_port, destination, destination_port, size, data)
