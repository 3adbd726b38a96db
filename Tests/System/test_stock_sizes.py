"""To a stock WireGuard peer goes what WireGuard would send, datagram for datagram, whatever our configuration asks for."""

import socket

import pytest

from lab import Lab, WireGuardGo, payload, wait_until_up
from lab.gateway import gateway
from lab.small_packets import stopped

MTU = 1420
OVERHEAD = 32
HELLO = {"chacha20poly1305": 64, "auto": 80}
"""A HELLO's datagram, by the cipher; packets of 17 to 32 or of 33 to 48 bytes have the same size, so none are sent beside it."""
HEADERS = 28
UDP_SEGMENT = 103
# Payloads of UDP around the steps of the padding, and up to the tunnel's MTU.
PAYLOADS = [5, 20, 21, 36, 37, 60, 100, 500, 512, 1000, 1363, 1364, 1365, 1380, 1381, 1391, 1392]


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab


@pytest.mark.parametrize("cipher", ["chacha20poly1305", "auto"])
def test_bursts_of_text_have_the_sizes_of_wireguard(lab, cipher):
    hello = HELLO[cipher]
    with lab.record() as wire, WireGuardGo(lab, lab.b), gateway(
            lab, lab.a, compression="auto", peer=(f"#: Cipher = {cipher}",)) as ours, Flows(lab) as flows:
        wait_until_up(lab, ours)
        expected = []
        for _ in range(5):
            with stopped(ours):
                for size in PAYLOADS:
                    if -(-(size + HEADERS) // 16) * 16 + OVERHEAD == hello:
                        continue
                    for flow in range(3):
                        expected += flows.send(flow, size)
                expected += flows.send_segmented(1200, 10)
            # The device's queue has room for 500.
            sent = sizes(lab, wire)
    # Beside them a few HELLOs, which a stock peer drops, and before them pings.
    assert 1 <= sent.count(hello) <= 7
    packets = [size for size in sent if size != hello]
    assert packets[-len(expected):] == expected


def test_wireguard_go_has_the_same_sizes(lab):
    """So that the test above does not only repeat what the code says."""
    with lab.record() as wire, WireGuardGo(lab, lab.b), WireGuardGo(lab, lab.a) as one, Flows(lab) as flows:
        wait_until_up(lab)
        expected = []
        for size in PAYLOADS:
            with stopped(one):
                for flow in range(3):
                    expected += flows.send(flow, size)
        expected += flows.send_segmented(1200, 10)
        sent = sizes(lab, wire)
    assert sent[-len(expected):] == expected


class Flows:
    """Text from three ports of host A to as many of host B."""

    def __init__(self, lab):
        self._text = payload.text(1 << 20)
        self._into = [_bound(lab.b, 6200 + flow) for flow in range(3)]
        self._out = [_bound(lab.a, 6200 + flow) for flow in range(3)]
        for number, one in enumerate(self._out):
            one.connect((lab.b.v4, 6200 + number))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self._out + self._into:
            one.close()

    def send(self, flow, size):
        """Sends one packet; the sizes of the datagrams that WireGuard makes of it."""
        self._out[flow].send(self._text[:size])
        return [wireguard(size + 28)]

    def send_segmented(self, size, count):
        """Sends so many packets as one run that the kernel may leave in one piece (UDP_SEGMENT)."""
        self._out[0].setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        self._out[0].send(self._text[:size * count])
        self._out[0].setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
        return [wireguard(size + 28)] * count


def wireguard(packet):
    """Padded to 16, but never beyond the MTU; a header, a tag."""
    return max(packet, min((packet + 15) // 16 * 16, MTU)) + OVERHEAD


def sizes(lab, wire):
    """The sizes of all transport messages from A, in order."""
    wire.settle()
    return [d.size for d in wire.sent_by(lab.a.outer, 4)]


def _bound(site, port):
    made = site.host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((site.v4, port))
    return made
