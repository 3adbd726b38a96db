"""What an operator reads when no packet gets through: the log and the statistics name the cause, within seconds."""

import contextlib
import fcntl
import os
import subprocess

import pytest

from lab import Lab, WireGuardGo, link, wait_until
from lab.gateway import GATEWAY, Gateway, config, gateway, write_config
from lab.site import PORT, Keys, preshared_key

NAMED = ("#: Name = far",)


@pytest.fixture
def lab():
    with Lab(ipv6=False) as lab:
        yield lab


def test_a_cipher_that_the_peer_does_not_know_is_said_in_log_and_statistics(lab):
    peer = (*NAMED, "#: Cipher = aes256gcm")
    with gateway(lab, lab.a, peer=peer) as ours, WireGuardGo(lab, lab.b):
        sent = 20
        lab.a.host.run("ping", "-n", "-q", "-c", sent, "-i", "0.01", "-W", "1", lab.b.v4, check=False)
        wait_until(lambda: "far: it has not said that it does AES-256-GCM" in ours.log, "the log says why")
        wait_until(lambda: ours.peer()["drops"]["noSession"] == sent, "every packet is counted", timeout=15)
        assert "has not said that it does AES-256-GCM" in ours.peer()["error"]
        assert "  error        the peer has not said" in ours.ctl("stats", ours.name).stdout


CANNOT_SEND = {
    "Network is unreachable": (("ip", "address", "flush", "dev", "wan"), ()),
    "No route to host": (("ip", "route", "add", "unreachable", "192.0.2.2"), ()),
    "Invalid argument": (("ip", "route", "add", "blackhole", "192.0.2.2"), ()),
    "Permission denied (a route that prohibits it?)": (("ip", "route", "add", "prohibit", "192.0.2.2"), ()),
}


@pytest.mark.parametrize("reason", CANNOT_SEND)
def test_what_the_system_does_not_send_is_said_once_with_the_reason(lab, reason):
    make, _ = CANNOT_SEND[reason]
    lab.a.gateway.run(*make)
    with gateway(lab, lab.a, peer=NAMED) as ours:
        problem = f"can't send to {lab.b.endpoint}: {reason}"
        lab.ping(lab.a, lab.b.v4)
        wait_until(lambda: f"far: {problem}\n" in ours.log, "the log says it")
        assert ours.peer()["lastProblem"] == problem
        assert ours.peer()["lastProblemTime"] > 0
        assert f"  last problem {problem} (" in ours.ctl("stats", ours.name).stdout
        wait_until(lambda: ours.stats()["drops"]["send"] >= 2, "it is tried again", timeout=15)
        assert ours.log.count("can't send") == 1
        assert "no answer" not in ours.log


def test_it_is_said_again_when_the_reason_changes(lab):
    lab.a.gateway.run("ip", "route", "add", "unreachable", "192.0.2.2")
    with gateway(lab, lab.a, peer=NAMED) as ours:
        lab.ping(lab.a, lab.b.v4)
        wait_until(lambda: "No route to host" in ours.log, "the log says it")
        lab.a.gateway.run("ip", "route", "replace", "prohibit", "192.0.2.2")
        lab.a.gateway.run("ip", "route", "del", "unreachable", "192.0.2.2", check=False)
        wait_until(lambda: "Permission denied" in ours.log, "the log says the other", timeout=15)
        assert "Permission denied" in ours.peer()["lastProblem"]


def test_a_port_that_nobody_listens_on_is_said_at_once(lab):
    with gateway(lab, lab.a, peer=NAMED) as ours:
        lab.ping(lab.a, lab.b.v4)
        said = f"what we send to {lab.b.endpoint} comes back: port unreachable, says 192.0.2.2"
        wait_until(lambda: f"far: {said}" in ours.log, "the log says it", timeout=3)
        assert said in ours.peer()["lastProblem"]


def test_a_neighbour_that_is_not_there_and_a_router_that_refuses_are_told_apart(lab):
    lab.b.gateway.run("ip", "route", "add", "prohibit", "198.51.100.1")
    lab.a.gateway.run("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.2")
    text = config(lab, lab.a, peer=NAMED).replace(lab.b.endpoint, f"198.51.100.1:{PORT}")
    with Gateway(lab, lab.a, write_config(lab, lab.a, text)) as ours:
        lab.ping(lab.a, lab.b.v4)
        wait_until(lambda: "comes back: prohibited by a firewall, says 192.0.2.2" in ours.log, "the router's word")
    lab.b.gateway.run("ip", "address", "del", "192.0.2.2/30", "dev", "wan")
    lab.a.gateway.run("ip", "neighbour", "flush", "dev", "wan")
    with gateway(lab, lab.a, peer=NAMED) as ours:
        lab.ping(lab.a, lab.b.v4)
        wait_until(lambda: "comes back: host unreachable, says 192.0.2.1" in ours.log, "nobody has the address")


def test_icmp_errors_about_one_peer_cost_another_nothing(lab):
    other = Keys()
    text = config(lab, lab.a) + "\n".join((
        "[Peer]", f"PublicKey = {other.public}", "Endpoint = 192.0.2.2:9", "AllowedIPs = 10.77.0.0/16",
        "PersistentKeepalive = 1", ""))
    with Gateway(lab, lab.a, write_config(lab, lab.a, text)) as ours, gateway(lab, lab.b) as theirs:
        wait_until(lambda: lab.ping(lab.a, lab.b.v4), "a ping comes back", timeout=15)
        dead = next(peer for peer in ours.stats()["peers"] if peer["publicKey"] == other.public)
        wait_until(lambda: "port unreachable" in str(dead["lastProblem"]), "the dead one is known")
        done = lab.a.host.run("ping", "-n", "-q", "-c", 200, "-i", "0.02", lab.b.v4)
        assert " 0% packet loss" in done.stdout, done.stdout
        assert theirs.peer().get("lastProblem") is None


def test_an_endpoint_among_its_own_allowed_ips_is_said_by_check_and_while_it_runs(lab):
    text = config(lab, lab.a, peer=(*NAMED, "AllowedIPs = 198.51.100.0/24"))
    text = text.replace(lab.b.endpoint, f"198.51.100.1:{PORT}")
    path = write_config(lab, lab.a, text)
    checked = subprocess.run([GATEWAY, "check", "--config", path], capture_output=True, text=True)
    assert checked.returncode == 0
    assert "warning: Endpoint among the peer's own AllowedIPs \"198.51.100.1:51820\"" in checked.stderr
    with Gateway(lab, lab.a, path) as ours:
        lab.ping(lab.a, lab.b.v4)
        wait_until(lambda: "far: the endpoint 198.51.100.1:51820 is routed into the tunnel itself" in ours.log,
                   "the log says it", timeout=3)
        assert "routed into the tunnel itself" in ours.peer()["lastProblem"]


def test_a_wrong_public_key_is_said_at_the_receiving_end_with_the_senders_address(lab):
    wrong = config(lab, lab.a, peer=NAMED).replace(lab.b.keys.public, Keys().public)
    with Gateway(lab, lab.a, write_config(lab, lab.a, wrong)) as ours, gateway(lab, lab.b) as theirs:
        lab.ping(lab.a, lab.b.v4)
        wait_until(lambda: f"handshake from {lab.a.endpoint} refused: it is made for another public key than ours, "
                   f"{lab.b.keys.public}" in theirs.log, "the receiving end says it")
        wait_until(lambda: "far: no answer to our handshake after 5 s, trying again. Is the endpoint right, the peer up, "
                   "our key known to it?" in ours.log, "the sender gets a hint after its first attempt")
        assert "no answer to our handshake" in ours.peer()["lastProblem"]
        # As wg counts: what was sent is seen, also before there is a session.
        assert ours.peer()["txBytes"] >= 148
        assert "  transfer     0 B received, " in ours.ctl("stats", ours.name).stdout


def test_a_sender_that_is_no_peer_is_logged_with_its_key(lab):
    unknown = config(lab, lab.b).replace(lab.a.keys.public, Keys().public)
    with gateway(lab, lab.a) as ours, Gateway(lab, lab.b, write_config(lab, lab.b, unknown)) as theirs:
        lab.ping(lab.a, lab.b.v4)
        wait_until(lambda: f"handshake from {lab.a.endpoint} refused: its sender is no peer of ours; if it should be: "
                   f"PublicKey = {lab.a.keys.public}" in theirs.log, "its key can be pasted")
        assert ours.peer()["latestHandshake"] == 0


def test_different_preshared_keys_are_said_at_both_ends(lab):
    with gateway(lab, lab.a, peer=NAMED, preshared=preshared_key()) as ours, \
            gateway(lab, lab.b, peer=NAMED, preshared=preshared_key(), endpoint=False) as theirs:
        lab.ping(lab.a, lab.b.v4)
        wait_until(lambda: "is the preshared key the same on both ends?" in ours.log, "the end that knows")
        wait_until(lambda: "far: we answered its handshake, but nothing came on the session: is the preshared key the same "
                   "on both ends" in theirs.log, "the end that can't know", timeout=15)
        assert "preshared key" in ours.peer()["lastProblem"]
        assert "preshared key" in theirs.peer()["lastProblem"]


def test_packets_from_a_source_that_is_not_the_peers_are_told_with_the_source(lab):
    with link(lab, a={"peer": NAMED}) as (ours, _):
        lab.b.gateway.run("ip", "route", "add", "10.1.0.0/16", "dev", lab.b.name, check=False)
        lab.b.host.run("ip", "address", "add", "10.55.0.1/32", "dev", "lan")
        lab.b.host.run("ping", "-q", "-c", 100, "-i", "0.002", "-W", "1", "-I", "10.55.0.1", lab.a.v4, check=False)
        wait_until(lambda: "far: dropped a packet, the last one from 10.55.0.1, which is not among its AllowedIPs"
                   in ours.log, "the log says it")
        assert ours.peer()["drops"]["allowedIPs"] == 100
        assert ours.log.count("10.55.0.1") == 1


def test_a_name_that_has_no_address_stands_in_the_statistics(lab):
    text = config(lab, lab.a, peer=NAMED).replace(lab.b.endpoint, f"far.invalid:{PORT}")
    with Gateway(lab, lab.a, write_config(lab, lab.a, text)) as ours:
        wait_until(lambda: "far: no address for far.invalid: " in ours.log, "the log says it")
        assert ours.peer()["endpointName"] == f"far.invalid:{PORT}"
        assert "no address for far.invalid: " in ours.peer()["lastProblem"]
        assert f"  endpoint     none yet, far.invalid:{PORT} has no address" in ours.ctl("stats", ours.name).stdout


def test_what_the_system_says_to_groups_and_what_a_gateway_asks_in_vain_are_no_drops():
    with Lab() as lab, gateway(lab, lab.a, compression="auto") as ours, gateway(lab, lab.b) as theirs:
        wait_until(lambda: lab.ping(lab.a, lab.b.v4), "a ping comes back", timeout=15)
        for one, address in ((lab.a, "224.0.0.251"), (lab.a, "ff02::1")):
            one.gateway.run("ping", "-c", 1, "-W", 1, "-I", one.name, address, check=False)
        wait_until(lambda: ours.stats()["drops"]["multicast"] > 0, "the packet to a group is seen")
        assert ours.stats()["drops"]["noPeer"] == 0
        assert theirs.peer()["drops"]["malformed"] == 0 and theirs.peer()["drops"]["unannounced"] == 0


def test_a_thousand_peers_that_do_not_answer_do_not_fill_the_log(lab):
    peers = "".join(
        f"[Peer]\nPublicKey = {Keys().public}\nEndpoint = 192.0.2.2:{10_000 + number}\n"
        f"AllowedIPs = 10.66.{number // 256}.{number % 256}/32\nPersistentKeepalive = 1\n" for number in range(200))
    lab.b.gateway.run("nft", "add table inet t; add chain inet t i { type filter hook input priority 0; policy drop; }",
                      check=False)
    with Gateway(lab, lab.a, write_config(lab, lab.a, config(lab, lab.a) + peers)) as ours:
        wait_until(lambda: sum("lastProblem" in peer for peer in ours.stats()["peers"]) >= 200,
                   "all of them are without an answer", timeout=20)
        assert len(ours.log.splitlines()) < 80


def test_a_log_that_nobody_reads_stops_no_packet(lab):
    reading, writing = os.pipe()
    with contextlib.closing(os.fdopen(reading, "rb")) as log, gateway(lab, lab.b) as theirs:
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 100)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"x")
        os.set_blocking(writing, True)
        ours = gateway(lab, lab.a)
        ours.process = subprocess.Popen(
            ours.namespace.command(*ours.argv), env=ours.environment, stderr=writing, stdin=subprocess.DEVNULL)
        os.close(writing)
        try:
            wait_until(lambda: lab.ping(lab.a, lab.b.v4), "a ping comes back although nobody reads", timeout=15)
            assert theirs.has_handshake()
            os.set_blocking(reading, False)
            seen = b""

            def read():
                nonlocal seen
                seen += log.read(1 << 16) or b""
                return b"handshake done" in seen

            wait_until(read, "what was said comes as soon as somebody reads")
        finally:
            ours.process.terminate()
            ours.process.wait(10)
