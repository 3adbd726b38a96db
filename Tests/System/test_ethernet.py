"""Offices whose Ethernets a tunnel joins: everything that a frame carries arrives, and nothing else does."""

import contextlib
import json
import re
import signal
import subprocess
import time

import pytest

from lab import Daemon, Lab, all_drops, link, payload, wait_until
from lab.attempt import refused
from lab.ethernet import Offices, config
from lab.frames import BROADCAST, Port, ethernet, mac, some
from lab.site import PORT
from lab.traffic import send_tcp

MEGABYTE = 1 << 20
STRANGER = "02:00:00:00:00:77"
SHAPES = {"two offices": (2, False), "three around a hub": (3, True)}


@pytest.fixture(scope="module", params=[pytest.param(shape, id=name, marks=pytest.mark.fast) for name, shape in SHAPES.items()])
def lan(request):
    """The last office is as far from the second as can be: through the hub, if there is one."""
    count, has_hub = request.param
    with Offices(count) as lan, lan.tunnel(hub=lan[0] if has_hub else None, compression="auto") as lan.gateways:
        lan.near, lan.far = (lan[1], lan[2]) if has_hub else (lan[0], lan[1])
        lan.wait_until_pinged(lan.near, lan.far)
        yield lan


def test_hosts_find_each_other_by_arp_and_by_neighbour_discovery(lan):
    for v6 in (False, True):
        lan.near.host.run("ip", "neigh", "flush", "dev", "lan")
        lan.wait_until_pinged(lan.near, lan.far, v6=v6)
        neighbours = lan.near.host.run("ip", "neigh", "show", lan.far.v6 if v6 else lan.far.v4).stdout
        assert lan.far.mac in neighbours


def test_a_host_gets_its_address_from_a_dhcp_server_at_another_office():
    with Offices(2, addressed=False) as lan, lan.tunnel():
        server, client = lan[0].host, lan[1].host
        server.run("ip", "address", "add", "10.5.0.1/24", "dev", "lan")
        with dhcp_server(lan, server):
            wait_until(lambda: ask_dhcp(lan, client), "the host gets an address", timeout=30)
        addresses = client.run("ip", "-4", "-oneline", "address", "show", "dev", "lan").stdout
        assert re.search(r"inet 10\.5\.0\.1[01]\d/24", addresses)
        client.run("ping", "-n", "-c", 1, "-W", 2, "10.5.0.1")


def test_a_host_gets_its_address_through_the_hub():
    with Offices(3, addressed=False) as lan, lan.tunnel(hub=lan[0]):
        server, client = lan[1].host, lan[2].host
        server.run("ip", "address", "add", "10.5.0.1/24", "dev", "lan")
        with dhcp_server(lan, server):
            wait_until(lambda: ask_dhcp(lan, client), "the host gets an address", timeout=30)
        client.run("ping", "-n", "-c", 1, "-W", 2, "10.5.0.1")


def test_frames_of_every_kind_arrive_as_they_were_sent(lan):
    frames = some(600, lan.far.mac, lan.near.mac)
    received = exchanged(lan.near, lan.far, frames)
    assert sorted(received) == sorted(frames)
    for kind in range(3):
        places = [frames.index(frame) for frame in received]
        of_kind = [place for place in places if place % 3 == kind]
        assert of_kind == sorted(of_kind), "the order within a kind has changed"


def test_full_frames_arrive_with_and_without_a_tag(lan):
    body = payload.random(1500)
    frames = [ethernet(lan.far.mac, lan.near.mac, body), ethernet(lan.far.mac, lan.near.mac, body, vlan=7)]
    assert [len(frame) for frame in frames] == [1514, 1518]
    assert exchanged(lan.near, lan.far, frames) == frames
    assert lan.ping(lan.near, lan.far, "-M", "do", "-s", 1472)


def test_the_shortest_frames_do_no_harm(lan):
    frames = [ethernet(lan.far.mac, lan.near.mac, bytes(size)) for size in (0, 1, 45, 46)]
    received = exchanged(lan.near, lan.far, frames, seconds=1)
    assert received[-2:] == frames[-2:]
    assert all(frame in frames for frame in received)
    assert lan.ping(lan.near, lan.far)


def test_a_broadcast_arrives_once_everywhere(lan):
    frames = [ethernet(BROADCAST, lan.near.mac, bytes([number]) * 64) for number in range(20)]
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(Port(site.host)) for site in lan.sites if site is not lan.near]
        with Port(lan.near.host) as sender:
            sender.send(frames, a_second=100)
        for port in ports:
            assert port.receive(lan.near.mac, seconds=1) == frames


def test_tcp_arrives_unchanged_both_ways(lan):
    for data in (payload.text(8 * MEGABYTE), payload.random(8 * MEGABYTE)):
        for v6 in (False, True):
            for sender, receiver in ((lan.near, lan.far), (lan.far, lan.near)):
                send_tcp(sender.host, receiver.host, receiver.v6 if v6 else receiver.v4, data)


def test_the_addresses_of_hosts_are_learned_and_told(lan):
    lan.wait_until_pinged(lan.near, lan.far)
    gateway = lan.gateways[lan.sites.index(lan.near)]
    peers = gateway.stats()["peers"]
    owners = [peer["name"] for peer in peers if lan.far.mac in peer["addresses"]]
    assert owners == [lan[0].letter if len(lan.sites) == 3 else lan.far.letter]
    assert lan.near.mac not in [address for peer in peers for address in peer["addresses"]]
    for command in ("stats", "show"):
        assert lan.far.mac in gateway.ctl(command, gateway.name).stdout


def test_nothing_was_malformed_and_the_daemons_are_alive(lan):
    for gateway in lan.gateways:
        gateway.check_alive()
        drops = all_drops(gateway.stats())
        assert [drops[reason] for reason in ("malformed", "allowedMACs", "noEthernet", "storm")] == [0, 0, 0, 0]


@pytest.mark.parametrize("arrangement", ["mesh", "star"])
def test_what_came_from_a_peer_goes_to_no_other_without_a_hub(arrangement):
    with Offices(3) as lan, lan.tunnel(star=lan[0] if arrangement == "star" else None) as gateways:
        lan.wait_until_pinged(lan[1], lan[0])
        lan.wait_until_pinged(lan[2], lan[0])
        frames = [ethernet(BROADCAST, lan[1].mac, bytes([number]) * 64) for number in range(20)]
        with Port(lan[0].host) as first, Port(lan[2].host) as third, Port(lan[1].host) as sender:
            sender.send(frames, a_second=100)
            assert first.receive(lan[1].mac, seconds=1) == frames
            assert third.receive(lan[1].mac, seconds=1) == (frames if arrangement == "mesh" else [])
        assert lan.ping(lan[1], lan[2]) == (arrangement == "mesh")
        for gateway in gateways:
            gateway.check_alive()


def test_what_is_for_the_hubs_own_hosts_goes_to_no_other_site_and_is_no_flood():
    with Offices(3) as lan, lan.tunnel(hub=lan[0]) as gateways:
        lan.wait_until_pinged(lan[1], lan[0])
        frames = [ethernet(lan[0].mac, lan[1].mac, number.to_bytes(2, "big") * 32) for number in range(4000)]
        with Port(lan[2].gateway, gateways[2].name) as third:
            assert exchanged(lan[1], lan[0], frames, seconds=3) == frames
            assert third.receive(lan[1].mac, seconds=1) == []
        assert all_drops(gateways[0].stats())["storm"] == 0


def test_only_allowed_addresses_are_believed_and_a_reload_changes_them():
    with Offices(2) as lan:
        a, b = lan
        text = config(a, [b], peer=[f"#: AllowedMACs = {b.mac}"])
        with lan.gateway(a, text) as one, lan.gateway(b, config(b, [a])):
            lan.wait_until_pinged(b, a)
            frames = [ethernet(a.mac, STRANGER, bytes([number]) * 64) for number in range(20)]
            assert exchanged(b, a, frames, source=STRANGER, seconds=1) == []
            assert one.peer()["drops"]["allowedMACs"] >= 20
            assert one.peer()["addresses"] == [b.mac]
            one.config.write_text(text.replace(b.mac, f"{b.mac}, {STRANGER}"))
            one.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "reloaded" in one.log, "the reload is done")
            assert exchanged(b, a, frames, source=STRANGER) == frames


def test_a_peer_that_wg_removes_and_adds_again_is_believed_no_more_than_the_file_says():
    with Offices(2) as lan:
        a, b = lan
        text = config(a, [b], peer=[f"#: AllowedMACs = {b.mac}"])
        with lan.gateway(a, text) as one, lan.gateway(b, config(b, [a])):
            lan.wait_until_pinged(b, a)
            for words in (["remove"], ["endpoint", b.endpoint]):
                a.gateway.run("wg", "set", one.name, "peer", b.keys.public, *words)
            lan.wait_until_pinged(b, a)
            frames = [ethernet(a.mac, STRANGER, bytes([number]) * 64) for number in range(20)]
            assert exchanged(b, a, frames, source=STRANGER, seconds=1) == []
            assert one.peer()["drops"]["allowedMACs"] >= 20


@pytest.mark.slow
def test_a_hundred_thousand_addresses_of_one_peer_are_bounded_and_harm_nobody_else():
    with Offices(3) as lan, lan.tunnel() as gateways:
        a, b, c = lan
        lan.wait_until_pinged(c, a)
        lan.wait_until_pinged(b, a)
        before = gateways[0].resident
        with Port(b.host) as port:
            port.send((mac(a.mac) + b"\x06" + number.to_bytes(5, "big") + b"\x88\xb5" + bytes(46)
                       for number in range(100_000)), a_second=30_000)
        time.sleep(1)
        peers = {peer["name"]: peer for peer in gateways[0].stats()["peers"]}
        print(f"{len(peers['b']['addresses'])} addresses learned, {peers['b']['drops']['learning']} frames dropped, "
              f"{(gateways[0].resident - before) >> 10} KB more")
        assert 1 <= len(peers["b"]["addresses"]) < 10_000
        assert peers["b"]["drops"]["learning"] > 5_000
        assert c.mac in peers["c"]["addresses"]
        assert peers["c"]["drops"]["learning"] == 0
        assert gateways[0].resident - before < 8 * MEGABYTE
        assert lan.ping(c, a) and lan.ping(a, c)
        send_tcp(c.host, a.host, a.v4, payload.text(MEGABYTE))
        # The page of the statistics stays readable, and the JSON whole.
        assert len(gateways[0].ctl("stats", gateways[0].name).stdout.splitlines()) < 60
        assert len(json.loads(gateways[0].ctl("stats", gateways[0].name, "--json").stdout)["peers"]) == 2


def test_a_loop_of_bridges_stays_within_the_rate_of_floods():
    with Offices(2) as lan, lan.tunnel() as gateways:
        a, b = lan
        lan.wait_until_pinged(a, b)
        a.gateway.run("ip", "link", "add", "loop", "type", "veth", "peer", "name", "loop", "netns", b.gateway.name)
        for site in lan:
            site.gateway.run("ip", "link", "set", "loop", "master", "br0", "up")
        # The kernel looks at cables now and then.
        for site in lan:
            wait_until(lambda: site.gateway.run("cat", "/sys/class/net/loop/brport/state").stdout == "3\n", "the loop is closed: both forward")
        with Port(a.host) as port:
            port.send([ethernet(BROADCAST, a.mac, bytes(1000))] * 20)
        time.sleep(2)
        sent, start = gateways[0].peer()["txBytes"], time.monotonic()
        time.sleep(2)
        rate = (gateways[0].peer()["txBytes"] - sent) / (time.monotonic() - start)
        storms = [all_drops(gateway.stats())["storm"] for gateway in gateways]
        print(f"in the loop {rate * 8 / 1e6:.1f} Mbit/s go through the tunnel, {storms} frames dropped")
        assert sum(storms) > 0
        assert rate < 10e6
        a.gateway.run("ip", "link", "delete", "loop")
        lan.wait_until_pinged(a, b)
        for gateway in gateways:
            gateway.check_alive()


def test_a_frame_that_is_too_long_is_dropped_and_counted():
    with Offices(2) as lan:
        a, b = lan
        with lan.gateway(a, config(a, [b], interface=["MTU = 9000"])) as one, lan.gateway(b, config(b, [a])) as two:
            lan.wait_until_pinged(a, b)
            with Port(a.gateway, one.name) as port, Port(b.host) as receiver:
                port.send([ethernet(b.mac, STRANGER, bytes(size)) for size in (1500, 8000, 9000)] * 5, a_second=100)
                assert [len(frame) for frame in receiver.receive(STRANGER, seconds=1)] == [1514] * 5
            assert two.peer()["drops"]["frame"] == 10
            lan.wait_until_pinged(a, b)


def test_jumbo_frames_arrive_where_everything_has_room_for_them():
    with Offices(2, lan_mtu=9000) as lan, lan.tunnel(interface=["MTU = 9000"], compression="auto") as gateways:
        a, b = lan
        lan.wait_until_pinged(a, b)
        assert lan.ping(a, b, "-M", "do", "-s", 8972)
        send_tcp(a.host, b.host, b.v4, payload.text(4 * MEGABYTE))
        assert "go in several datagrams each" in gateways[0].log


def test_full_frames_leave_in_datagrams_that_fit_a_narrower_link():
    with Offices(2) as lan:
        for site in lan:
            site.gateway.run("ip", "link", "set", "wan", "mtu", 1400)
        with lan.tunnel() as gateways:
            lan.wait_until_pinged(*lan)
            frames = [ethernet(lan[1].mac, lan[0].mac, payload.random(size)) for size in (1302, 1303, 1500) * 5]
            assert exchanged(*lan, frames) == frames
            assert "frames that carry more than 1302 bytes go in several datagrams each" in gateways[0].log
            outside = lan[0].gateway.run("nstat", "-asz", "IpFragCreates").stdout
            assert re.search(r"IpFragCreates\s+0 ", outside), "the kernel cut datagrams"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["a stock WireGuard peer", "a gateway without Ethernet"])
def test_a_peer_that_does_no_ethernet_is_an_error_in_log_and_statistics(kind):
    with Offices(2) as lan:
        a, b = lan
        make = wireguard_go if kind == "a stock WireGuard peer" else gateway_with_tun
        with make(lan, b, a) as two, lan.gateway(a, config(a, [b])) as one:
            def is_known():
                lan.ping(a, b, wait="0.2")
                return "error" in one.peer() and "does not do Ethernet" in one.log
            wait_until(is_known, "log and statistics say so", timeout=60)
            assert "Ethernet" in one.peer()["error"] and "Mode = tap" in one.peer()["error"]
            assert "b: it does not do Ethernet, which Mode = tap demands; nothing is sent to it" in one.log
            assert one.log.count("does not do Ethernet") == 1
            if make is gateway_with_tun:
                assert one.peer()["drops"]["noEthernet"] > 0
                assert "carries Ethernet" in two.peer()["error"] and "it carries Ethernet" in two.log
            assert "does not do Ethernet" in one.ctl("stats", one.name).stdout


@pytest.mark.parametrize("bridge, words", [("br9", "there is no bridge br9"), ("lan", "no bridge but of kind veth")])
def test_a_bridge_that_is_none_is_refused_in_one_line(bridge, words):
    with Offices(2) as lan:
        one = lan.gateway(lan[0], config(lan[0], [lan[1]], bridge=bridge))
        answer = refused(lan[0].gateway, one.config, one.run_directory)
        assert words in answer.line and answer.code == 69


def test_the_interface_is_a_port_of_the_bridge_until_the_end_and_the_log_tells_of_sizes():
    with Offices(2, lan_mtu=9000) as lan:
        site = lan[0]
        of_bridge = site.gateway.run("cat", "/sys/class/net/br0/address").stdout
        with lan.gateway(site, config(site, [lan[1]])) as one:
            assert site.gateway.run("cat", f"/sys/class/net/{one.name}/address").stdout.startswith("fe:")
            assert site.gateway.run("cat", "/sys/class/net/br0/address").stdout == of_bridge
            assert one.name in site.gateway.run("ip", "-oneline", "link", "show", "master", "br0").stdout
            assert "mtu 1500" in site.gateway.run("ip", "link", "show", one.name).stdout
            assert "the bridge br0 had an MTU of 9000" in one.log
            assert "frames that carry more than 1402 bytes go in several datagrams each" in one.log
            one.config.write_text(config(site, [lan[1]], interface=["#: Hub = true"]))
            one.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "reloaded" in one.log, "the reload is done")
            assert "reload: Hub changed and takes a restart" in one.log
            one.config.write_text(config(site, [lan[1]], bridge=None).replace("Mode = tap", "Mode = tun"))
            one.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "Mode takes a restart, nothing was changed" in one.log, "the reload is refused")
        assert one.name not in site.gateway.run("ip", "link").stdout


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["tun", *SHAPES])
@pytest.mark.parametrize("compression", [None, "auto"], ids=["off", "auto"])
def test_iperf3_runs_both_ways(shape, compression, capsys):
    with contextlib.ExitStack() as stack:
        if shape == "tun":
            lab = stack.enter_context(Lab())
            stack.enter_context(link(lab, compression=compression))
            near, far = lab.a, lab.b
        else:
            count, has_hub = SHAPES[shape]
            lab = stack.enter_context(Offices(count))
            stack.enter_context(lab.tunnel(hub=lab[0] if has_hub else None, compression=compression))
            near, far = (lab[1], lab[2]) if has_hub else (lab[0], lab[1])
            lab.wait_until_pinged(near, far)
        forth, back = iperf3(near, far), iperf3(near, far, "-R")
        text = send_tcp(near.host, far.host, far.v4, payload.text(4 * MEGABYTE), seconds=2).megabits
    with capsys.disabled():
        print(f"\n{shape}, compression {compression or 'off'}: iperf3 {forth:.0f} and {back:.0f} Mbit/s, "
              f"text {text:.0f} Mbit/s")
    assert min(forth, back, text) > 20


# What the tests above use.

def exchanged(sender, receiver, frames, source=None, seconds=3):
    """What arrives at the receiver's host of frames that leave the sender's, at a pace that fills no queue."""
    with Port(receiver.host) as into, Port(sender.host) as out:
        out.send(frames, a_second=2000)
        return into.receive(source or sender.mac, count=len(frames) if seconds == 3 else None, seconds=seconds)


def iperf3(near, far, *options):
    """Mbit/s of TCP in 2 s."""
    with far_iperf3(far):
        done = near.host.run("iperf3", "-c", far.v4, "-t", 2, "-J", *options)
    return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e6


@contextlib.contextmanager
def far_iperf3(far):
    server = subprocess.Popen(far.host.command("iperf3", "-s", "-1"), stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: ":5201" in far.host.run("ss", "-Hnlt").stdout, "iperf3 listens")
        yield
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def dhcp_server(lan, namespace):
    server = Daemon(namespace, lan.directory / "dnsmasq.log", [
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=lan", "--bind-interfaces",
        "--user=root", "--dhcp-range=10.5.0.100,10.5.0.119,255.255.255.0,1h", "--dhcp-authoritative", "--no-ping",
        f"--dhcp-leasefile={lan.directory}/leases", f"--pid-file={lan.directory}/dnsmasq.pid"])
    with server:
        wait_until(lambda: ":67" in namespace.run("ss", "-Hnlu").stdout, "dnsmasq listens")
        yield


def ask_dhcp(lan, namespace):
    script = lan.directory / "udhcpc"
    script.write_text('#!/bin/sh\n[ "$1" != bound ] || ip address add "$ip/$mask" dev "$interface"\n')
    script.chmod(0o755)
    asked = ("udhcpc", "-i", "lan", "-f", "-n", "-q", "-t", 3, "-T", 1, "-s", script)
    return namespace.run(*asked, check=False).returncode == 0


@contextlib.contextmanager
def wireguard_go(lan, site, other):
    """A peer that has never heard of Ethernet."""
    daemon = Daemon(
        site.gateway, lan.directory / "stock.log", ["wireguard-go", "-f", site.name], {"LOG_LEVEL": "error"})
    file = lan.directory / "stock.conf"
    file.write_text(f"[Interface]\nPrivateKey = {site.keys.private}\nListenPort = {PORT}\n"
                    f"[Peer]\nPublicKey = {other.keys.public}\nAllowedIPs = 10.9.0.0/24\n")
    with daemon:
        wait_until(lambda: site.name in site.gateway.run("wg", "show", "interfaces").stdout, "wireguard-go is there")
        site.gateway.run("wg", "setconf", site.name, file)
        site.gateway.run("ip", "link", "set", site.name, "up")
        yield


@contextlib.contextmanager
def gateway_with_tun(lan, site, other):
    text = config(site, [other], bridge=None, compression="auto").replace("#: Mode = tap\n", "")
    with lan.gateway(site, text) as gateway:
        yield gateway
