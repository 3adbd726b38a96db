"""IP packets at an interface, each as it would be on a wire, also where the kernel passes runs of them."""

import select
import socket
import struct

from .members import cut
from .packets import header, internet_sum

_SOL_PACKET, _PACKET_VNET_HDR, _OUTGOING = 263, 15, 4
_SO_RCVBUFFORCE, _ETH_P_ALL, _FAMILIES = 33, 3, {0x0800: 4, 0x86DD: 6}
_ETHERNET = 1
_VIRTIO, _LINK = struct.Struct("=BBHHHH"), struct.Struct(">6s6sH")
_NEEDS_SUM = 1


class Tap:
    """Sees what comes in and goes out at an interface of a namespace; both, or what has the direction asked for.

    outgoing: True for what the namespace sends, False for what it receives.
    neighbour: the hardware address to write to. wanted: says whether a packet is read.
    """

    def __init__(self, namespace, interface, outgoing=None, neighbour=None, wanted=lambda packet: True):
        self.outgoing, self.neighbour, self.wanted = outgoing, neighbour, wanted
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
        self._socket.bind((interface, _ETH_P_ALL))
        self._socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def fileno(self):
        return self._socket.fileno()

    def read(self):
        """All packets that are there."""
        packets = []
        while select.select([self], [], [], 0)[0]:
            frame, (_, protocol, kind, hardware, _) = self._socket.recvfrom(70_000)
            if protocol in _FAMILIES and self.outgoing in (None, kind == _OUTGOING):
                packets += filter(self.wanted, _packets(frame, _LINK.size if hardware == _ETHERNET else 0))
        return packets

    def read_until(self, count, timeout=5, quiet=0.1):
        """So many packets, or what has come by the time; and what comes in a quiet moment behind them."""
        packets = []
        while len(packets) < count and select.select([self], [], [], timeout)[0]:
            packets += self.read()
        select.select([], [], [], quiet)
        return packets + self.read()

    def write(self, packet):
        """Sends a packet to the neighbour."""
        protocol = next(number for number, version in _FAMILIES.items() if version == packet[0] >> 4)
        self._socket.send(bytes(_VIRTIO.size) + _LINK.pack(self.neighbour, bytes(6), protocol) + packet)


def _packets(frame, link):
    flags, _, _, segment, start, at = _VIRTIO.unpack_from(frame)
    packet = frame[_VIRTIO.size + link:]
    if segment and len(packet) - header(packet).size > segment:
        return cut(packet, segment)
    if flags & _NEEDS_SUM:
        start -= link
        # As the kernel does it itself: never zero, whatever the protocol is.
        value = internet_sum(packet[start:]) or 0xFFFF
        packet = packet[:start + at] + struct.pack(">H", value) + packet[start + at + 2:]
    return [packet]
