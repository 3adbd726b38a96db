"""What `gatewayctl stats` says has the agreed shape, and agrees with what a recorder sees on the wire."""

import json
import re
import signal
import socket
import struct

import pytest

from lab import Lab, link, payload, wait_until
from lab.gateway import gatewayctl
from lab.site import PORT
from lab.stats_shape import mismatches
from lab.traffic import send_tcp

pytestmark = pytest.mark.fast

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def lab():
    # The wire is shaped, so that `auto` has a reason to compress.
    with Lab(rate="100mbit") as lab, lab.record() as lab.wire, \
            link(lab, compression="auto", peer=("#: Name = far",)) as lab.gateways:
        send_tcp(lab.a.host, lab.b.host, lab.b.v4, payload.text(4 * MEGABYTE))
        send_tcp(lab.b.host, lab.a.host, lab.a.v6, payload.random(4 * MEGABYTE))
        lab.wire.settle()
        yield lab


def test_the_json_has_the_shape_of_the_contract(lab):
    for one in lab.gateways:
        assert mismatches(json.loads(one.ctl("stats", one.name, "--json").stdout)) == []


def test_the_socket_gives_what_the_command_prints(lab):
    for one in lab.gateways:
        assert mismatches(one.stats()) == []


def test_without_a_name_the_json_is_a_list_of_all(lab):
    one = lab.gateways[0]
    listed = json.loads(one.ctl("stats", "--json").stdout)
    assert [entry["interface"] for entry in listed] == [one.name]


def test_the_statistics_say_who_and_where(lab):
    stats, far = lab.gateways[0].stats(), lab.gateways[0].peer()
    assert stats["interface"] == lab.a.name
    assert stats["publicKey"] == lab.a.keys.public and far["publicKey"] == lab.b.keys.public
    assert stats["listenPort"] == 51820
    assert far["name"] == "far"
    assert far["endpoint"] == lab.b.endpoint
    assert sorted(far["allowedIPs"]) == sorted(lab.b.allowed_ips)


def test_rx_and_tx_bytes_are_what_the_wire_saw(lab):
    lab.wire.settle()
    for one, near, far in zip(lab.gateways, lab.sites, reversed(lab.sites)):
        wait_until(lambda: agree(one, lab.wire, near, far),
                   f"the byte counts agree: {counts(one)} said, "
                   f"{lab.wire.bytes_sent_by(far.outer)}, {lab.wire.bytes_sent_by(near.outer)} on the wire")


def test_wire_bytes_are_the_udp_payload_of_the_data_messages(lab):
    for one, near, far in zip(lab.gateways, lab.sites, reversed(lab.sites)):
        compression = one.peer()["compression"]
        for direction, sender in (("tx", near), ("rx", far)):
            seen = lab.wire.bytes_sent_by(sender.outer, 4)
            # HELLO, keepalives and questions about the path are data messages without data.
            assert compression[direction]["wireBytes"] == pytest.approx(seen, rel=0.001, abs=6144)


def test_both_ends_tell_the_same_story(lab):
    a, b = (one.peer()["compression"] for one in lab.gateways)
    for sent, received in ((a["tx"], b["rx"]), (b["tx"], a["rx"])):
        assert sent["plainBytes"] == pytest.approx(received["plainBytes"], rel=0.001)
        assert sent["wireBytes"] == pytest.approx(received["wireBytes"], rel=0.001, abs=2048)


def test_the_table_shows_the_peer_by_name(lab):
    assert "far" in lab.gateways[0].ctl("stats", lab.a.name).stdout


def test_what_the_kernel_dropped_before_the_interface_is_counted(lab):
    one = lab.gateways[0]
    assert one.stats()["drops"]["kernelTransmit"] == 0
    one.process.send_signal(signal.SIGSTOP)
    lab.a.gateway.run("ping", "-q", "-n", "-c", 2000, "-l", 2000, "-w", 1, lab.b.v4, check=False)
    one.process.send_signal(signal.SIGCONT)
    (described,) = json.loads(lab.a.gateway.run("ip", "-json", "-stats", "link", "show", one.name).stdout)
    dropped = described["stats64"]["tx"]["dropped"]
    assert dropped > 0
    assert one.stats()["drops"]["kernelTransmit"] == dropped


@pytest.mark.parametrize("outer", [4, 6])
def test_datagrams_with_a_wrong_checksum_are_told_apart_from_those_that_a_full_buffer_refused(outer):
    with Lab(outer=outer) as lab, link(lab) as (one, _), damaged(lab) as thrower:
        for _ in range(50):
            thrower.sendto(udp(bytes(200), checksum=0x1234), (lab.a.outer, 0))
        wait_until_told(lab, one, lambda drops: drops["checksum"] == 50, "all are counted as damaged")
        assert one.stats()["drops"]["kernelReceive"] == 0
        assert "checksum 50" in one.ctl("stats", one.name).stdout

        one.process.send_signal(signal.SIGSTOP)
        for _ in range(30):
            thrower.sendto(udp(bytes(200), checksum=0x1234), (lab.a.outer, 0))
        with lab.b.gateway.socket(AF[outer], socket.SOCK_DGRAM) as many:
            for _ in range(5000):
                many.sendto(bytes(1400), (lab.a.outer, PORT))
        one.process.send_signal(signal.SIGCONT)
        refused = udp_counter(lab.a.gateway, outer, "RcvbufErrors")
        assert refused > 100
        wait_until_told(lab, one, lambda drops: (drops["checksum"], drops["kernelReceive"]) == (80, refused),
                        f"30 more as damaged, {refused} as refused")


def test_nobody_there_is_said_in_one_line(lab):
    done = gatewayctl("stats", "nobody", "--json", check=False, run_directory=lab.directory)
    assert done.returncode == 69
    assert len(done.stderr.splitlines()) == 1 and "nobody" in done.stderr


AF = {4: socket.AF_INET, 6: socket.AF_INET6}


def damaged(lab):
    """A socket at gateway B whose datagrams are as they are given, with their UDP header."""
    return lab.b.gateway.socket(AF[lab.outer], socket.SOCK_RAW, socket.IPPROTO_UDP)


def udp(data, checksum):
    return struct.pack(">HHHH", PORT, PORT, 8 + len(data), checksum) + data


def wait_until_told(lab, one, condition, what):
    """The kernel tells of a loss with the next datagram that arrives."""
    wait_until(lambda: lab.ping(lab.b, lab.a.v4) and condition(one.stats()["drops"]), what)


def udp_counter(namespace, outer, name):
    if outer == 6:
        return int(re.search(rf"Udp6{name}\s+(\d+)", namespace.run("cat", "/proc/net/snmp6").stdout)[1])
    names, values = (line.split() for line in namespace.run("cat", "/proc/net/snmp").stdout.splitlines()
                     if line.startswith("Udp:"))
    return int(dict(zip(names, values))[name])


def counts(one):
    peer = one.peer()
    return peer["rxBytes"], peer["txBytes"]


def agree(one, wire, near, far):
    """Whether the counters are what was recorded; asked again when a packet passed in between."""
    return counts(one) == (wire.bytes_sent_by(far.outer), wire.bytes_sent_by(near.outer))
