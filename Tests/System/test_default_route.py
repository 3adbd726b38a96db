"""A default route through the tunnel: what wg-quick does for it, we do, and take it away again."""

import signal
import socket

import pytest

from lab import Gateway, Lab, wait_until
from lab.gateway import gateway, write_config

FAR = {4: "198.51.100.2", 6: "2001:db8:2::2"}
"""Where the other gateway is: behind the default route, not beside us."""


@pytest.fixture(params=[4, 6])
def lab(request):
    """Gateway A reaches gateway B by its default route alone, and accepts nothing that came another way than it would go."""
    with Lab(outer=request.param) as lab:
        a, b = lab.a.gateway, lab.b.gateway
        version, far, length = f"-{request.param}", FAR[request.param], 32 if request.param == 4 else 128
        a.run("ip", version, "route", "add", "default", "via", lab.b.outer)
        lab.b.outer = far
        b.run("ip", "address", "add", f"{far}/{length}", "dev", "lo")
        a.sysctl(ipv4__conf__all__rp_filter=1, ipv4__conf__wan__rp_filter=1)
        # As firewalld does it; the kernel has no such filter for IPv6.
        a.run("nft", "add table ip6 strict; add chain ip6 strict in { type filter hook prerouting priority -140; }; "
              "add rule ip6 strict in icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept; "
              "add rule ip6 strict in fib saddr . mark . iif oif missing drop")
        yield lab


def full(lab, name=None, addresses="10.9.0.1/32, fd09::1/128", extra=(), route="0.0.0.0/0, ::/0"):
    """Gateway A with a default route through the tunnel, `name` if it is not the site's only one."""
    text = "\n".join([
        "[Interface]", f"PrivateKey = {lab.a.keys.private}", f"Address = {addresses}", *extra, "[Peer]",
        f"PublicKey = {lab.b.keys.public}", f"AllowedIPs = {route}", f"Endpoint = {lab.b.endpoint}"]) + "\n"
    if name is None:
        return Gateway(lab, lab.a, write_config(lab, lab.a, text))
    path = lab.directory / f"{name}.conf"
    path.write_text(text)
    path.chmod(0o600)
    return Gateway(lab, lab.a, path)


def other(lab):
    """Gateway B, which everything comes from."""
    return gateway(lab, lab.b, endpoint=False, peer=("AllowedIPs = fd09::1/128",))


def wait_until_through(lab):
    def through():
        return all(lab.a.gateway.run("ping", "-n", "-c", "1", "-W", "1", address, check=False).returncode == 0
                   for address in (lab.b.v4, lab.b.v6))

    wait_until(through, "pings through the tunnel's default route", timeout=15)


def filters(lab):
    return lab.a.gateway.run("nft", "list", "ruleset").stdout


def remains(lab):
    return {**lab.a.gateway.state(), "nftables": filters(lab)}


def test_a_default_route_works_where_the_reverse_path_filter_is_strict_and_leaves_nothing(lab):
    before = remains(lab)
    with other(lab), full(lab) as a:
        wait_until_through(lab)
        assert "dev " + a.name in lab.a.gateway.run("ip", "route", "get", "203.0.113.1").stdout
        assert a.stop() == 0
    assert remains(lab) == before


def test_a_strangers_packet_to_the_tunnels_address_is_dropped_and_a_peers_is_not(lab):
    with other(lab), full(lab):
        wait_until_through(lab)
        with lab.a.gateway.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox, \
                lab.a.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger, \
                lab.b.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as friend:
            inbox.bind(("10.9.0.1", 1111))
            inbox.settimeout(5)
            stranger.sendto(b"stranger", ("10.9.0.1", 1111))
            friend.sendto(b"friend", ("10.9.0.1", 1111))
            assert inbox.recv(100) == b"friend"


def test_what_a_killed_gateway_left_is_replaced_at_the_next_start(lab):
    before = remains(lab)
    with other(lab), full(lab) as a:
        wait_until_through(lab)
        made = remains(lab)
        a.stop(signal.SIGKILL)
        assert "gateway-" in filters(lab)
        a.start()
        wait_until_through(lab)
        assert remains(lab)["rules"] == made["rules"] and filters(lab) == made["nftables"]
        a.stop(signal.SIGKILL)
        # Without a default route as well.
        a.config.write_text(a.config.read_text().replace("0.0.0.0/0, ::/0", "10.99.0.0/16"))
        a.start()
        assert "gateway-" not in filters(lab)
        a.stop()
    assert filters(lab) == before["nftables"]


def test_a_second_default_route_takes_the_next_table_and_its_end_leaves_the_first_alone(lab):
    with other(lab), full(lab, f"{lab.a.name}+1") as first:
        wait_until_through(lab)
        made = remains(lab)
        with full(lab, f"{lab.a.name}2", addresses="10.9.9.1/32") as second:
            rules = lab.a.gateway.run("ip", "rule").stdout
            assert "lookup 51820" in rules and "lookup 51821" in rules
            assert (first.stats()["fwmark"], second.stats()["fwmark"]) == (51820, 51821)
            second.stop()
        assert remains(lab) == made
        wait_until_through(lab)


def test_two_that_start_at_once_take_a_table_each(lab):
    with full(lab, f"{lab.a.name}1") as first:
        first.stop()
        with full(lab, f"{lab.a.name}2", addresses="10.9.9.1/32") as second:
            second.stop()
            for one in (first, second):
                super(Gateway, one).start()
            for one in (first, second):
                wait_until(one._ready, f"{one.name} is up")
            assert {first.stats()["fwmark"], second.stats()["fwmark"]} == {51820, 51821}


@pytest.mark.parametrize("lab", [4], indirect=True)
def test_without_nft_it_is_said_and_the_tunnel_comes_up(lab):
    a = full(lab)
    hide = ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /usr/sbin/nft && exec "$0" "$@"']
    a.argv = [*hide, *a.argv]
    lab.a.gateway.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__wan__rp_filter=0)
    with other(lab), a:
        wait_until(lambda: lab.a.gateway.run("ping", "-c", "1", "-W", "1", lab.b.v4, check=False).returncode == 0,
                   "a ping through the tunnel", timeout=15)
        said = [line for line in a.log.splitlines() if "nft" in line]
        assert len(said) == 1 and "install nftables" in said[0] and "rp_filter" in said[0]


def test_a_reload_brings_back_rules_and_filters_that_somebody_removed(lab):
    with other(lab), full(lab) as a:
        wait_until_through(lab)
        made = remains(lab)
        for family in ("-4", "-6"):
            lab.a.gateway.run("ip", family, "rule", "del", "table", "main", "suppress_prefixlength", 0)
            lab.a.gateway.run("ip", family, "route", "flush", "table", 51820)
        for table in ("ip", "ip6"):
            lab.a.gateway.run("nft", "delete", "table", table, f"gateway-{a.name}")
        a.process.send_signal(signal.SIGHUP)
        wait_until(lambda: remains(lab) == made, "everything is back")
        wait_until_through(lab)
