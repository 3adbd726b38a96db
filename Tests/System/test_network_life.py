"""What happens to links and addresses, as WireGuard's own tests have it (tests/netns.sh): roaming, NAT, sticky sources."""

import socket
import time

import pytest

from lab import Keys, Three, wait_until
from lab.traffic import send_tcp, udp_echo, ask_echo

pytestmark = pytest.mark.fast


@pytest.fixture
def three():
    with Three() as three:
        yield three


@pytest.fixture(params=["ours", "wireguard-go"])
def with_peer(request):
    """The other end is ours, or the reference."""
    with Three(programs=(None, None if request.param == "ours" else "wireguard-go")) as three:
        yield three


@pytest.mark.parametrize("outer", ["127.0.0.1", "[::1]"])
def test_interfaces_that_were_moved_away_carry_traffic_at_any_mtu(with_peer, outer):
    three = with_peer
    three.point(0, f"{outer}:20000")
    three.point(1, f"{outer}:10000")
    for mtu in (1420, 34816 - 80):
        for end, outside in zip(three.ends, (three.one, three.two)):
            outside.run("ip", "link", "set", end.name, "mtu", mtu)
        for number in (0, 1):
            three.ping(number, "-c", "10", "-f")
            three.ping(number, "-c", "10", "-f", v6=True)
        send_tcp(three.one, three.two, "10.9.0.2", b"0123456789abcdef" * 500_000)
        send_tcp(three.two, three.one, "fd09::1", b"0123456789abcdef" * 500_000)
        with udp_echo(three.two, "10.9.0.2") as echo:
            data = bytes(range(256)) * 255
            assert ask_echo(three.one, echo, data) == data


def test_the_other_end_follows_another_address_port_and_family(with_peer):
    three = with_peer
    three.point(0, "127.0.0.1:20000")
    three.wait_until_up()
    three.zero.run("ip", "address", "del", "127.0.0.1/8", "dev", "lo")
    three.zero.run("ip", "address", "add", "127.212.121.99/8", "dev", "lo")
    three.ends[0].wg("set", "listen-port", 9999)
    three.point(0, "127.0.0.1:20000")
    three.ping(0, v6=True)
    assert three.endpoint(1) == "127.212.121.99:9999"
    three.ends[0].wg("set", "listen-port", 9998)
    three.point(0, "[::1]:20000")
    three.ping(0)
    assert three.endpoint(1) == "[::1]:9998"


def test_a_packet_from_an_address_that_is_another_peers_is_dropped_and_its_sender_followed(three):
    three.point(0, "[::1]:20000")
    three.wait_until_up()
    three.ends[0].wg("set", "peer", three.keys[1].public, "allowed-ips", "10.9.0.0/24")
    with three.one.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox, \
            three.two.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        inbox.bind(("10.9.0.1", 1111))
        inbox.settimeout(1)
        sender.sendto(b"X", ("10.9.0.1", 1111))
        assert inbox.recv(10) == b"X"
        stranger = Keys().public
        three.ends[0].wg("set", "peer", stranger, "allowed-ips", "10.9.0.2/32")
        three.ends[1].wg("set", "listen-port", 9997)
        sender.sendto(b"X", ("10.9.0.1", 1111))
        with pytest.raises(TimeoutError):
            inbox.recv(10)
        three.ends[0].wg("set", "peer", stranger, "remove")
        assert three.endpoint(0) == "[::1]:9997"
        sender.sendto(b"Y", ("10.9.0.1", 1111))
        assert inbox.recv(10) == b"Y"


def test_another_private_key_makes_another_session_at_once(with_peer):
    three = with_peer
    three.point(0, "127.0.0.1:20000")
    three.point(1, "127.0.0.1:10000")
    three.wait_until_up()
    new = Keys()
    three.ends[1].wg("set", "peer", new.public, "allowed-ips", "10.9.0.1/32", "preshared-key", "/dev/stdin",
                     text=three.secret)
    three.ends[0].wg("set", "private-key", "/dev/stdin", text=new.private)
    wait_until(lambda: three.ping(0, check=False), "a ping with the new key", timeout=3)
    assert three.ends[1].wg("show", "endpoints").count("127.0.0.1:10000") == 2


def test_a_link_that_goes_down_is_silent_and_works_when_it_comes_up_again(three):
    three.point(0, "127.0.0.1:20000")
    three.wait_until_up()
    name = three.ends[0].name
    three.one.run("ip", "link", "set", name, "down")
    sent = transferred(three.ends[0])
    three.ping(1, check=False)
    time.sleep(1)
    assert transferred(three.ends[0]) == sent
    three.one.run("ip", "link", "set", name, "up")
    three.wait_until_up()


def test_a_persistent_keepalive_keeps_a_nat_open(record_property):
    with Three(moved=False) as three:
        for name, inside, address, outside in (("a", three.one, "192.168.1.100/24", "192.168.1.1/24"),
                                               ("b", three.two, "10.0.0.100/24", "10.0.0.1/24")):
            three.zero.run("ip", "link", "add", f"r{name}", "type", "veth", "peer", f"e{name}", "netns", inside.name)
            three.zero.run("ip", "address", "add", outside, "dev", f"r{name}")
            three.zero.run("ip", "link", "set", f"r{name}", "up")
            inside.run("ip", "address", "add", address, "dev", f"e{name}")
            inside.run("ip", "link", "set", f"e{name}", "up")
        three.one.run("ip", "route", "add", "default", "via", "192.168.1.1")
        nat = three.zero.run("nft", "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }; "
                             "add rule ip nat out ip saddr 192.168.1.0/24 ip daddr 10.0.0.0/24 snat to 10.0.0.1",
                             check=False)
        if nat.returncode != 0:
            pytest.skip(f"this kernel has no NAT: {nat.stderr.splitlines()[0]}")
        three.zero.sysctl(ipv4__ip_forward=1, netfilter__nf_conntrack_udp_timeout=2,
                          netfilter__nf_conntrack_udp_timeout_stream=2)
        three.point(0, "10.0.0.100:20000")
        three.ends[0].wg("set", "peer", three.keys[1].public, "persistent-keepalive", 1)
        three.wait_until_up()
        three.ping(1)
        assert three.endpoint(1) == "10.0.0.1:10000"
        time.sleep(3)
        three.ping(1)


@pytest.fixture
def side_by_side():
    """Daemons at both ends of one wire, `wire` in each namespace."""
    with Three(moved=False) as three:
        three.one.run("ip", "link", "add", "wire", "type", "veth", "peer", "wire", "netns", three.two.name)
        three.one.sysctl(ipv4__conf__wire__promote_secondaries=1)
        yield three


def addresses(namespace, *texts):
    for text in texts:
        namespace.run("ip", "address", "add", text, "dev", "wire", *(["nodad"] if ":" in text else []))
    namespace.run("ip", "link", "set", "wire", "up")


@pytest.mark.parametrize("old, new, other", [
    ("10.0.0.1/24", "10.0.0.10/24", "10.0.0.2"), ("fd00:aa::1/96", "fd00:aa::10/96", "fd00:aa::2")])
def test_a_source_address_that_vanishes_is_given_up_at_once(side_by_side, old, new, other):
    three = side_by_side
    addresses(three.one, old)
    addresses(three.two, f"{other}/{old.split('/')[1]}")
    three.point(0, f"[{other}]:20000" if ":" in other else f"{other}:20000")
    three.wait_until_up()
    addresses(three.one, new)
    three.one.run("ip", "address", "del", old, "dev", "wire")
    three.ping(0)
    three.ping(1)
    assert new.split("/")[0] in three.endpoint(1)


def test_replies_leave_from_the_address_that_was_addressed(side_by_side):
    three = side_by_side
    addresses(three.one, "10.0.0.1/24", "10.0.0.2/24", "fd00:aa::1/96", "fd00:aa::2/96")
    addresses(three.two, "10.0.0.3/24", "fd00:aa::3/96")
    for address in ("10.0.0.1:10000", "[fd00:aa::1]:10000", "10.0.0.2:10000", "[fd00:aa::2]:10000"):
        three.point(1, address)
        wait_until(lambda: three.ping(1, check=False), f"a ping through {address}", timeout=3)
        assert three.endpoint(1) == address


def transferred(end):
    return int(end.wg("show", "transfer").split("\t")[2])
