"""Links that fail, routes that are wrong, packets that nobody wants: the daemon goes on, and recovers when they are mended."""

import time

import pytest

from lab import DropIn, Keys, Three, wait_until
from lab.traffic import send_tcp

pytestmark = pytest.mark.fast

NEAR, FAR = "10.0.0.1", "10.0.0.2"


@pytest.fixture
def wired():
    """Daemons at both ends of one wire that has no addresses yet: `wire` in each namespace."""
    with Three(moved=False) as three:
        three.one.run("ip", "link", "add", "wire", "type", "veth", "peer", "wire", "netns", three.two.name)
        yield three


@pytest.fixture
def joined(wired):
    """With addresses, and a session."""
    connect(wired)
    wired.point(0, f"{FAR}:20000")
    wired.wait_until_up()
    return wired


def connect(three):
    for namespace, address in ((three.one, NEAR), (three.two, FAR)):
        namespace.run("ip", "address", "add", f"{address}/24", "dev", "wire")
        namespace.run("ip", "link", "set", "wire", "up")


def test_no_address_no_route_and_no_cable_at_the_start_are_waited_out(wired):
    wired.point(0, f"{FAR}:20000")
    for _ in range(3):
        assert not wired.ping(0, check=False)
    connect(wired)
    wired.wait_until_up()


TROUBLES = {
    "EHOSTUNREACH": (("ip", "route", "add", "unreachable", FAR), ("ip", "route", "del", "unreachable", FAR)),
    "EACCES": (("ip", "route", "add", "prohibit", FAR), ("ip", "route", "del", "prohibit", FAR)),
    "EINVAL": (("ip", "route", "add", "blackhole", FAR), ("ip", "route", "del", "blackhole", FAR)),
    "ENETUNREACH": (("ip", "address", "del", f"{NEAR}/24", "dev", "wire"),
                    ("ip", "address", "add", f"{NEAR}/24", "dev", "wire")),
    "EPERM": (("nft", "add table inet t; add chain inet t o { type filter hook output priority 0; }; "
               "add rule inet t o udp dport 20000 drop"), ("nft", "delete table inet t")),
    "EMSGSIZE": (("ip", "link", "set", "wire", "mtu", 100), ("ip", "link", "set", "wire", "mtu", 1500)),
    "no carrier": (("ip", "link", "set", "wire", "down"), ("ip", "link", "set", "wire", "up")),
    "a full queue": (("tc", "qdisc", "add", "dev", "wire", "root", "bfifo", "limit", 1),
                     ("tc", "qdisc", "del", "dev", "wire", "root")),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_the_socket_refuses_is_lost_and_nothing_else(joined, trouble):
    make, cure = TROUBLES[trouble]
    handshake = joined.ends[0].wg("show", "latest-handshakes")
    made = joined.one.run(*make, check=False)
    if made.returncode != 0:
        assert make[0] == "nft", made.stderr
        pytest.skip(f"this kernel has no filter: {made.stderr.splitlines()[0]}")
    # The source address that was learnt would lead around some of these.
    joined.point(0, f"{FAR}:20000")
    assert not joined.ping(0, "-c", "20", "-i", "0.01", "-s", "500", check=False)
    joined.one.run(*cure)
    wait_until(lambda: joined.ping(0, check=False), "a ping comes back", timeout=3)
    assert joined.ends[0].wg("show", "latest-handshakes") == handshake, "the session is the same"


@pytest.mark.slow
def test_a_peer_that_answers_with_port_unreachable_may_come_back(joined):
    other = joined.ends[1]
    other.__exit__()
    assert not joined.ping(0, "-c", "20", "-i", "0.01", check=False)
    wait_until(other.is_gone, "the other end is gone")
    other.start()
    joined.configure(1, other, joined.two)
    wait_until(lambda: joined.ping(0, check=False), "a ping comes back", timeout=25)


def test_a_packet_for_nobody_or_for_a_peer_without_endpoint_is_answered_at_once(wired):
    name = wired.ends[0].name
    wired.ends[0].wg("set", "peer", Keys().public, "allowed-ips", "10.66.0.0/16,fd66::/16")
    for prefix in ("10.66.0.0/15", "fd66::/15"):
        wired.one.run("ip", "route", "add", prefix, "dev", name)
    for address in ("10.66.0.1", "10.67.0.1", "fd66::1", "fd67::1"):
        answer = wired.one.run("ping", "-n", "-c", "2", "-i", "0.2", "-W", "5", address, check=False).stdout
        assert answer.count(" 100% packet loss") == 1 and answer.count("+2 errors") == 1, answer


def test_what_answers_for_a_packet_that_goes_nowhere_is_the_tunnels_own_address_or_another_of_the_gateways(wired):
    name = wired.ends[0].name
    for prefix in ("10.67.0.0/16", "fd67::/16"):
        wired.one.run("ip", "route", "add", prefix, "dev", name)

    def answers(address):
        return wired.one.run("ping", "-n", "-c", "1", "-W", "5", address, check=False).stdout

    assert "From 10.9.0.1 " in answers("10.67.0.1") and "From fd09::1 " in answers("fd67::1")
    wired.one.run("ip", "address", "flush", "dev", name)
    for address, prefix in (("10.77.0.1/32", "10.67.0.0/16"), ("fd77::1/128", "fd67::/16")):
        wired.one.run("ip", "address", "add", address, "dev", "lo")
        wired.one.run("ip", "route", "replace", prefix, "dev", name)
    assert "From 10.77.0.1 " in answers("10.67.0.1") and "From fd77::1 " in answers("fd67::1")


def test_a_default_route_through_the_tunnel_spares_the_tunnels_own_datagrams(joined):
    end, name = joined.ends[0], joined.ends[0].name
    end.wg("set", "fwmark", 51820, "peer", joined.keys[1].public, "allowed-ips", "0.0.0.0/0,::/0")
    for family in ("-4", "-6"):
        joined.one.run("ip", family, "route", "add", "default", "dev", name, "table", 51820)
        joined.one.run("ip", family, "rule", "add", "not", "fwmark", 51820, "table", 51820)
    assert f"dev {name}" in joined.one.run("ip", "route", "get", FAR).stdout
    joined.ping(0, "-c", "50", "-f")
    joined.ping(0, "-c", "50", "-f", v6=True)
    joined.two.run("ip", "address", "add", "203.0.113.1/32", "dev", "lo")
    assert joined.one.run("ping", "-n", "-c", "2", "-i", "0.2", "203.0.113.1").returncode == 0


def test_an_endpoint_that_is_routed_into_its_own_tunnel_makes_no_storm(joined):
    end, name = joined.ends[0], joined.ends[0].name
    end.wg("set", "peer", joined.keys[1].public, "allowed-ips", "0.0.0.0/0")
    joined.one.run("ip", "route", "add", FAR, "dev", name)
    joined.point(0, f"{FAR}:20000")
    before = sent(joined.one, name)
    joined.ping(0, "-c", "5", "-i", "0.2", "-s", "100", check=False)
    time.sleep(1)
    assert sent(joined.one, name) - before < 70_000, "more than the kernel's own tests allow its own"
    joined.one.run("ip", "route", "del", FAR, "dev", name)
    wait_until(lambda: joined.ping(0, check=False), "a ping comes back", timeout=10)


def test_a_tunnel_in_a_tunnel_carries_packets(joined):
    with DropIn(joined.one, "i1") as one, DropIn(joined.two, "i2") as two:
        keys = Keys(), Keys()
        for number, (end, outer) in enumerate(((one, joined.one), (two, joined.two))):
            end.wg("set", "listen-port", 7000 + number, "private-key", "/dev/stdin", text=keys[number].private)
            end.wg("set", "peer", keys[1 - number].public, "allowed-ips", f"10.8.0.{2 - number}/32",
                   "endpoint", f"10.9.0.{2 - number}:{7001 - number}")
            outer.run("ip", "address", "add", f"10.8.0.{number + 1}/24", "dev", end.name)
            outer.run("ip", "link", "set", end.name, "mtu", 1340, "up")
        wait_until(lambda: joined.one.run("ping", "-c", "1", "-W", "1", "10.8.0.2", check=False).returncode == 0,
                   "a ping through both")
        send_tcp(joined.one, joined.two, "10.8.0.2", b"0123456789abcdef" * 500_000)


def sent(namespace, name):
    """Bytes that an interface was given to send."""
    return int(namespace.run("cat", f"/sys/class/net/{name}/statistics/tx_bytes").stdout)
