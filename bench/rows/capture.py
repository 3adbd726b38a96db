"""When how many bytes left a device: a capture that keeps no more than that, with the kernel's times."""

import socket
import struct
import threading
from array import array

_SOL_PACKET, _PACKET_STATISTICS, _PACKET_VNET_HDR = 263, 6, 15
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS, _ETH_P_ALL, _OUTGOING = 33, 35, 3, 4
_VIRTIO, _GSO_UDP, _HEADERS = struct.Struct("<BBHHHH"), 5, 14 + 20 + 8
_TIME = struct.Struct("qq")


class Capture:
    """Of the frames that leave a device while the block runs, of which each datagram in a run counts with its headers."""

    def __init__(self, namespace, device):
        self._times, self._sizes, self._counts = array("d"), array("q"), array("q")
        self._ending = threading.Event()
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 256 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.settimeout(0.1)
        self._socket.bind((device, _ETH_P_ALL))
        self._thread = threading.Thread(target=self._record, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()
        _, lost = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._socket.close()
        self.is_whole = lost == 0
        """Whether it kept up with the device."""

    @property
    def frames(self):
        """Time in seconds, bytes and datagrams of each frame."""
        return list(zip(self._times, self._sizes, self._counts))

    def _record(self):
        head, room = bytearray(_VIRTIO.size + _HEADERS), socket.CMSG_SPACE(_TIME.size)
        while not self._ending.is_set():
            try:
                length, told, _, source = self._socket.recvmsg_into([head], room, socket.MSG_TRUNC)
            except TimeoutError:
                continue
            if source[2] != _OUTGOING:
                continue
            _, kind, _, segment, _, _ = _VIRTIO.unpack_from(head)
            size, count = length - _VIRTIO.size, 1
            if kind & 0x7F == _GSO_UDP and segment:
                count = -(-(size - _HEADERS) // segment)
                size += (count - 1) * _HEADERS
            seconds, nanoseconds = _TIME.unpack(told[0][2])
            self._times.append(seconds + nanoseconds * 1e-9)
            self._sizes.append(size)
            self._counts.append(count)
