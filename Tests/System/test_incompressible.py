"""What does not compress costs on the wire what it costs without compression."""

import pytest

from lab import Lab, link, payload
from lab.traffic import send_tcp, stream_udp

MEGABYTE = 1 << 20
KINDS = [payload.random, payload.compressed]


@pytest.fixture(scope="module")
def lab():
    # Not so fast that `auto` has no time to try.
    with Lab(rate="80mbit") as lab:
        yield lab


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_over_tcp_within_a_hundredth_of_plain_wireguard(lab, kind):
    data = kind(20 * MEGABYTE)
    off, auto = (wire_bytes(lab, compression, lambda: send_tcp(lab.a.host, lab.b.host, lab.b.v4, data))
                 for compression in ("off", "auto"))
    print(f"{auto / off:.4f} of off; {auto / len(data):.4f} bytes on the wire for one inside")
    assert auto <= 1.01 * off


@pytest.mark.parametrize("kind", KINDS)
def test_over_udp_within_a_hundredth_of_plain_wireguard(lab, kind):
    data = kind(20 * MEGABYTE)

    def stream():
        stream = stream_udp(lab.a.host, lab.b.host, lab.b.v4, data, count=4000)
        assert stream.received == list(range(stream.sent))

    off, auto = (wire_bytes(lab, compression, stream) for compression in ("off", "auto"))
    print(f"{auto / off:.4f} of off")
    assert auto <= 1.01 * off


def wire_bytes(lab, compression, send):
    """Bytes from gateway A, with the headers of UDP and IP, that `send` causes."""
    with lab.record() as wire, link(lab, compression=compression):
        wire.settle()
        seen = len(wire.datagrams)
        send()
        wire.settle()
        return sum(d.size + 28 for d in wire.datagrams[seen:] if d.source == lab.a.outer)
