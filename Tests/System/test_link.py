"""Two gateways carry everything between two sites unchanged, over every kind of wire."""

import pytest

from lab import Lab, link, payload
from lab.traffic import ask_echo, send_tcp, stream_udp, udp_echo

MEGABYTE = 1 << 20
LABS = {
    "outer IPv4": {},
    "outer IPv6": {"outer": 6},
    "hosts without TSO and GSO": {"offloads": False},
    "LAN MTU 9000": {"lan_mtu": 9000},
    "no IPv6 at all": {"ipv6": False},
}


@pytest.fixture(scope="module", params=[
    pytest.param(options, id=name, marks=[pytest.mark.fast] * name.startswith("outer")) for name, options in LABS.items()])
def lab(request):
    with Lab(**request.param) as lab, link(lab, compression="auto") as lab.gateways:
        yield lab


def test_pings_come_back_both_ways(lab):
    for address in inside(lab, lab.b):
        assert lab.ping(lab.a, address, count=5)
    for address in inside(lab, lab.a):
        assert lab.ping(lab.b, address, count=5)


def test_a_gateway_reaches_the_far_gateway_itself(lab):
    ping = ("ping", "-n", "-c", 1, "-W", 2)
    lab.a.gateway.run(*ping, "-I", lab.a.tunnel_address, lab.b.tunnel_address)


@pytest.mark.parametrize("kind", [payload.text, payload.random], ids=["text", "random"])
def test_tcp_arrives_unchanged_both_ways(lab, kind):
    for address in inside(lab, lab.b):
        send_tcp(lab.a.host, lab.b.host, address, kind(8 * MEGABYTE))
    for address in inside(lab, lab.a):
        send_tcp(lab.b.host, lab.a.host, address, kind(8 * MEGABYTE))


def test_udp_of_every_size_comes_back_unchanged(lab):
    # Around the tunnel's MTU of 1420 and the LAN's of 1500, less the headers; 8,000 bytes are fragmented.
    sizes = (0, 1, 15, 16, 17, 1371, 1372, 1373, 1391, 1392, 1393, 1452, 1453, 1472, 1473, 8000)
    for address in inside(lab, lab.b):
        with udp_echo(lab.b.host, address) as echo:
            for size in sizes:
                data = payload.random(8000)[:size]
                assert ask_echo(lab.a.host, echo, data) == data, f"{size} bytes came back changed"


def test_a_udp_stream_arrives_whole_and_in_order(lab):
    for address in inside(lab, lab.b):
        stream = stream_udp(lab.a.host, lab.b.host, address, payload.text(MEGABYTE))
        assert stream.damaged == 0
        assert len(stream.received) >= 0.99 * stream.sent
        assert stream.received == sorted(set(stream.received)), "datagrams came twice or out of order"


def test_nothing_was_malformed_and_the_daemons_are_alive(lab):
    for gateway in lab.gateways:
        gateway.check_alive()
        assert gateway.peer()["drops"]["malformed"] == 0
        assert gateway.peer()["drops"]["allowedIPs"] == 0


def inside(lab, site):
    """The addresses of a site's host that this lab can use."""
    return [site.v4, site.v6] if lab.ipv6 else [site.v4]
