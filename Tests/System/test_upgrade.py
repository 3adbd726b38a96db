"""Another process takes the place of one that runs: `gatewayctl upgrade`. Nobody outside notices."""

import base64
import contextlib
import functools
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest

from lab import DropIn, Keys, Lab, Namespace, Recorder, WireGuardGo, link, wait_until, wait_until_up, watchdog
from lab.ethernet import Offices
from lab.gateway import GATEWAY, GATEWAYCTL, REPOSITORY, gateway, gatewayctl
from lab.no_loss import no_loss
from test_confinement import CAP_NET_ADMIN, check_confined
from test_service import Supervisor, supervised

UPGRADES = int(os.environ.get("UPGRADES", 10))
"""One after the other; a hundred are a show."""
STALL = 0.2
"""Seconds that nothing may stand still at most."""


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture
def linked(lab):
    with link(lab, compression="auto") as (a, b):
        yield a, b


# Packets


def test_no_ping_is_lost_and_nobody_shakes_hands(lab, linked):
    a, b = linked
    before, process = a.peer(), running(a)
    with Recorder(lab.a.gateway, "wan") as wire, no_loss(lab), no_loss(lab, lab.b):
        for _ in range(3):
            upgrade(a)
        upgrade(b)
    assert {datagram.message_type for datagram in wire.datagrams} == {4}
    assert running(a) != process and a.process.poll() is None
    after = a.peer()
    assert after["handshakes"] == before["handshakes"] == b.peer()["handshakes"]
    assert after["latestHandshake"] == before["latestHandshake"]
    assert after["txBytes"] > before["txBytes"] and after["rxBytes"] > before["rxBytes"]


# How long something stands still is measured.
@pytest.mark.alone
def test_streams_in_both_directions_and_a_call_go_on(lab, linked):
    a, b = linked
    with call(lab) as heard, streams(lab) as gaps:
        for _ in range(3):
            upgrade(a)
            upgrade(b)
    assert heard.missing == 0 and heard.longest < STALL, (heard.missing, heard.longest)
    assert max(gaps.values()) < STALL, gaps
    assert a.peer()["handshakes"] == 1


@pytest.mark.slow
def test_many_upgrades_in_a_row_lose_nothing_and_leave_nothing(lab, linked):
    a, _ = linked
    before = resources(a)
    with no_loss(lab), no_loss(lab, lab.b):
        waited = [upgrade(a)[1] for _ in range(UPGRADES)]
    print(f"{UPGRADES} upgrades: packets waited {min(waited)} to {max(waited)} ms, as a rule {sorted(waited)[UPGRADES // 2]}")
    assert a.peer()["handshakes"] == 1
    wait_until(lambda: len(processes(lab)) <= 5, "only the last process, its helper and the one that stayed are there")
    descriptors, memory = resources(a)
    assert descriptors <= before[0] + 4 and memory < 2 * before[1] + 20e6


@pytest.mark.slow
def test_with_a_thousand_peers(lab):
    peers = "".join(
        f"[Peer]\nPublicKey = {base64.b64encode(os.urandom(32)).decode()}\nAllowedIPs = 10.100.{number // 250}.{number % 250}/32\n"
        for number in range(1000))
    a = gateway(lab, lab.a)
    a.config.write_text(a.config.read_text() + peers)
    with a, gateway(lab, lab.b) as b:
        wait_until_up(lab, b)
        with no_loss(lab), no_loss(lab, lab.b):
            _, waited = upgrade(a)
        print(f"1001 peers: packets waited {waited} ms")
        stats = a.stats()["peers"]
        assert len(stats) == 1001 and stats[0]["handshakes"] == 1


# As above.
@pytest.mark.alone
def test_in_front_of_a_link_with_a_rate_what_waits_leaves_before(lab):
    with link(lab, a={"peer": ["#: Rate = 10mbit"]}) as (a, _), streams(lab) as gaps, no_loss(lab):
        wait_until(lambda: a.peer()["queue"]["packets"] > 0, "packets wait", timeout=5)
        for _ in range(3):
            upgrade(a)
            assert a.peer()["queue"]["rate"] == 10_000_000
    assert max(gaps.values()) < STALL, gaps


def test_a_stock_peer_notices_nothing_either(lab):
    with gateway(lab, lab.a) as a, WireGuardGo(lab, lab.b) as b:
        wait_until_up(lab, a, b)
        with no_loss(lab), no_loss(lab, lab.b):
            upgrade(a)
            upgrade(a)
        assert a.peer()["handshakes"] == 1


def test_an_ethernet_with_a_hub_goes_on():
    with Offices(3) as lan, lan.tunnel(hub=lan[0], compression="auto") as gateways:
        lan.wait_until_pinged(lan[1], lan[2])
        handshakes = [peer["handshakes"] for one in gateways for peer in one.stats()["peers"]]
        for one in gateways:
            learned = [peer["addresses"] for peer in one.stats()["peers"]]
            upgrade(one)
            # The kernel's bridges say something themselves now and then.
            kept = [set(peer["addresses"]) for peer in one.stats()["peers"]]
            assert len(kept) == len(learned) and all(now >= set(before) for now, before in zip(kept, learned))
            assert lan.ping(lan[1], lan[2], "-i", "0.01", "-c", 20)
        assert [peer["handshakes"] for one in gateways for peer in one.stats()["peers"]] == handshakes


# What is kept


def test_what_was_counted_learned_and_set_stays(lab, linked):
    a, _ = linked
    lab.a.gateway.run("wg", "set", a.name, "peer", lab.b.keys.public, "persistent-keepalive", 21)
    lab.a.gateway.run("wg", "set", a.name, "peer", lab.b.keys.public, "allowed-ips", "10.200.0.0/24,0.0.0.0/1")
    strange = Keys()
    lab.a.gateway.run("wg", "set", a.name, "peer", strange.public, "allowed-ips", "10.201.0.0/24", "endpoint", "192.0.2.9:7")
    before, shown = a.stats(), lab.a.gateway.run("wg", "show", a.name, "dump").stdout
    sockets = [os.stat(path).st_ino for path in (a.control, uapi(a))]
    upgrade(a)
    after, now = a.stats(), lab.a.gateway.run("wg", "show", a.name, "dump").stdout
    assert [os.stat(path).st_ino for path in (a.control, uapi(a))] == sockets
    assert after["uptimeSeconds"] >= before["uptimeSeconds"]
    # The system itself speaks to groups now and then.
    assert after["drops"].pop("multicast") >= before["drops"].pop("multicast")
    assert after["drops"] == before["drops"]
    columns = [0, 1, 2, 3, 4, 7]
    assert [[line.split("\t")[c] for c in columns if c < len(line.split("\t"))] for line in now.splitlines()] == [
        [line.split("\t")[c] for c in columns if c < len(line.split("\t"))] for line in shown.splitlines()]
    for peer, old in zip(after["peers"], before["peers"]):
        assert peer["allowedIPs"] == old["allowedIPs"] and peer["persistentKeepalive"] == old["persistentKeepalive"]
        assert peer["handshakes"] == old["handshakes"] and peer["drops"] == old["drops"]
        assert peer["compression"]["tx"] == old["compression"]["tx"] or peer["publicKey"] != strange.public
        assert peer["cipher"] == old["cipher"]
    # Whoever is asked by the socket is the process that listens there now.
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(a.control))
        process, _, _ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    assert process == running(a)


def test_the_file_is_read_again_and_one_with_errors_is_refused(lab, linked):
    a, _ = linked
    text = a.config.read_text()
    a.config.write_text(text + "\nNonsense = 1\n")
    refused(a, "errors")
    a.config.write_text(text.replace("AllowedIPs = ", "AllowedIPs = 10.77.0.0/16, "))
    with no_loss(lab):
        upgrade(a)
    assert "10.77.0.0/16" in lab.a.gateway.run("ip", "route").stdout
    assert "10.77.0.0/16" in a.peer()["allowedIPs"]


def test_upgrades_and_reloads_at_once_come_one_after_the_other(lab, linked):
    a, _ = linked
    text = a.config.read_text()
    with no_loss(lab):
        for number in range(3):
            a.config.write_text(text.replace("AllowedIPs = ", f"AllowedIPs = 10.7{number}.0.0/16, "))
            others = [threading.Thread(target=a.ctl, args=("reload", a.name), kwargs={"check": False}) for _ in range(3)]
            for other in others:
                other.start()
            upgrade(a)
            for other in others:
                other.join()
            a.ctl("reload")
            assert f"10.7{number}.0.0/16" in a.peer()["allowedIPs"]


def test_routes_rules_and_tables_of_a_default_route_stay_and_go_at_the_end(lab):
    before = lab.a.gateway.state()
    a = gateway(lab, lab.a, interface=["PostDown = touch $TMPDIR/down"])
    a.config.write_text(a.config.read_text().replace("AllowedIPs = ", "AllowedIPs = 0.0.0.0/0, ").replace("$TMPDIR", str(lab.directory)))
    with a, gateway(lab, lab.b) as b:
        wait_until_up(lab, a, b)
        made = lab.a.gateway.state()
        with no_loss(lab):
            upgrade(a)
            upgrade(a)
        assert lab.a.gateway.state() == made
        assert not (lab.directory / "down").exists()
        assert a.stop() == 0
    assert (lab.directory / "down").exists()
    assert lab.a.gateway.state() == before
    assert not a.control.exists() and not os.path.exists(uapi(a))


def test_metrics_go_on_at_their_port(lab):
    with gateway(lab, lab.a, interface=["#: MetricsListen = 127.0.0.1:9586"]) as a:
        upgrade(a)
        said = lab.a.gateway.run("curl", "-s", "http://127.0.0.1:9586/metrics").stdout
        assert "gateway_" in said


# The process


def test_the_new_process_is_confined_as_the_old_one_was(linked):
    a, _ = linked
    process, _ = upgrade(a)
    check_confined(process, CAP_NET_ADMIN)


def test_who_looks_after_the_first_process_goes_on_doing_so(lab, linked):
    """By hand, in a script, by a file with its number: the first process stays, and passes on what it is told."""
    a, _ = linked
    before = a.process.pid
    upgrade(a)
    process, _ = upgrade(a)
    assert a.process.poll() is None and running(a) == process != before
    a.config.write_text(a.config.read_text().replace("AllowedIPs = ", "AllowedIPs = 10.77.0.0/16, "))
    a.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "10.77.0.0/16" in a.peer()["allowedIPs"], "the signal is passed on")
    assert a.stop() == 0
    wait_until(lambda: not os.path.exists(f"/proc/{process}"), "it is gone")
    assert not a.control.exists()


def test_a_signal_that_ends_it_comes_through_whenever_it_comes(lab, linked):
    a, _ = linked
    for delay in (0, 0.05, 0.1, 0.15, 0.2, 0.3):
        asking = threading.Thread(target=a.ctl, args=("upgrade", a.name), kwargs={"check": False})
        asking.start()
        time.sleep(delay)
        assert a.stop() == 0
        asking.join()
        wait_until(lambda: lab.a.gateway.run("ip", "link", "show", a.name, check=False).returncode != 0, "it is gone")
        assert not a.control.exists()
        a.start()


def test_its_end_is_that_of_the_first_process(lab, linked):
    a, _ = linked
    process, _ = upgrade(a)
    os.kill(process, signal.SIGKILL)
    assert a.process.wait(10) == 69
    with contextlib.suppress(FileNotFoundError):
        a.control.unlink()


def test_when_the_first_process_is_killed_the_last_one_ends(lab, linked):
    a, _ = linked
    process, _ = upgrade(a)
    a.process.kill()
    a.process.wait()
    wait_until(lambda: not os.path.exists(f"/proc/{process}"), "it ends")
    assert lab.a.gateway.run("ip", "link", "show", a.name, check=False).returncode != 0


def test_a_supervisor_is_told_of_the_new_process_which_gives_signs_of_life(lab):
    with Supervisor(lab.directory / "notify") as supervisor, supervised(lab, supervisor, WATCHDOG_USEC="300000") as a:
        supervisor.wait_for("READY=1")
        process, _ = upgrade(a)
        supervisor.wait_for(f"MAINPID={process}")
        # Nobody stays where somebody was told.
        assert a.process.wait(10) == 0
        supervisor.words.clear()
        supervisor.wait_for("WATCHDOG=1")
        again, _ = upgrade(a)
        supervisor.wait_for(f"MAINPID={again}")
        wait_until(lambda: not os.path.exists(f"/proc/{process}"), "the one before has ended")
        assert "STOPPING=1" not in supervisor.words
        os.kill(again, signal.SIGTERM)
        supervisor.wait_for("STOPPING=1")
        wait_until(lambda: not os.path.exists(f"/proc/{again}"), "it ends")
        assert not a.control.exists()


def test_the_drop_in_form_is_upgraded_too():
    with Namespace("here") as namespace, DropIn(namespace, "u") as one:
        keys = Keys()
        one.wg("set", "private-key", "/dev/stdin", "listen-port", 5555, text=keys.private)
        one.wg("set", "peer", Keys().public, "allowed-ips", "10.0.0.0/8")
        namespace.run("ip", "link", "set", one.name, "up")
        before, number = one.wg("show", "dump"), os.stat(one.path).st_ino
        done = gatewayctl("upgrade", one.name, run_directory=one.environment["GATEWAY_RUN_DIR"])
        process = int(re.search(r"process (\d+)", done.stdout)[1])
        assert one.wg("show", "dump") == before and os.stat(one.path).st_ino == number
        check_confined(process, CAP_NET_ADMIN | 1 << 10)
        os.unlink(one.path)
        wait_until(lambda: not os.path.exists(f"/proc/{process}"), "it ends with its socket's file")


# What is refused


@pytest.mark.parametrize("lie, word", [
    ("flip", "damaged"), ("cut", "cut off"), ("version", "version 99"), ("garbage", "it is none"), ("die", "ended"),
    ("late", "ended")])
def test_a_state_that_is_not_what_was_written_is_refused_and_the_old_process_goes_on(lab, lie, word):
    with lying(lab, lie) as (a, liar):
        before = running(a), a.peer()["handshakes"]
        with no_loss(lab):
            refused(a, word, "--binary", liar)
        assert (running(a), a.peer()["handshakes"]) == before
        with no_loss(lab):
            upgrade(a, "--binary", GATEWAY)


def test_one_that_hangs_is_waited_for_not_for_ever(lab):
    with lying(lab, "hang") as (a, liar):
        refused(a, "timed out", "--binary", liar)
        wait_until(lambda: liar not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout, "it was killed")
        assert lab.ping(lab.a, lab.b.v4, count=3)
        upgrade(a, "--binary", GATEWAY)


def test_only_a_program_that_root_alone_can_change_is_run(lab, linked):
    a, _ = linked
    own = lab.directory / "own"
    shutil.copy("/bin/true", own)
    for change, word in [
            (lambda: own.chmod(0o775), "nobody else may write"), (lambda: own.chmod(0o757), "nobody else may write"),
            (lambda: (own.chmod(0o755), os.chown(own, 1, 1)), "must belong to root"),
            (lambda: (os.chown(own, 0, 0), own.chmod(0o644)), "is no program"),
            (lambda: (own.chmod(0o755), own.write_text("no program")), "Exec format error"),
            (lambda: (own.unlink(), own.mkdir()), "is no program"), (own.rmdir, "there is no")]:
        change()
        refused(a, word, "--binary", own)
    refused(a, "is it a gateway", "--binary", "/bin/true")
    # Who may only write beside the socket names nothing.
    wish = a.control.with_suffix(".upgrade")
    wish.write_text("/bin/true\n")
    os.chown(wish, 1, 1)
    refused(a, "must belong to root")
    assert not wish.exists()
    upgrade(a)


def test_only_root_may_ask_for_it(lab, linked):
    a, _ = linked
    a.control.chmod(0o666)
    lab.directory.chmod(0o755)
    a.run_directory.chmod(0o755)
    done = subprocess.run(
        [GATEWAYCTL, "upgrade", a.name], capture_output=True, text=True, user=65534, group=65534,
        env={**os.environ, "GATEWAY_RUN_DIR": str(a.run_directory)})
    assert done.returncode == 77 and "only root may upgrade" in done.stderr


def test_takeover_by_hand_says_what_it_is(lab):
    done = subprocess.run([GATEWAY, "takeover", "--interface", "x"], capture_output=True, text=True)
    assert done.returncode == 64 and "gatewayctl upgrade" in done.stderr


# Helpers


def upgrade(one, *arguments):
    """Upgrades it; the new process, and the milliseconds in which packets waited."""
    done = one.ctl("upgrade", *arguments, one.name)
    found = re.search(r"process (\d+); packets waited ([\d.]+) ms", done.stdout)
    assert found, done.stdout
    return int(found[1]), float(found[2])


def refused(one, word, *arguments):
    done = one.ctl("upgrade", *arguments, one.name, check=False)
    assert done.returncode not in (0, 70) and len(done.stderr.splitlines()) == 1 and word in done.stderr, (
        done.returncode, done.stderr)


def running(one):
    """The process that carries packets."""
    took = re.findall(r"took over: \S+ process (\d+)", one.log)
    return int(took[-1]) if took else one.process.pid


def uapi(one):
    return f"/var/run/wireguard/{one.name}.sock"


def processes(lab):
    return lab.a.gateway.run("ip", "netns", "pids", lab.a.gateway.name).stdout.split()


def resources(one):
    """Descriptors, and bytes of memory, of the process that carries packets."""
    process = running(one)
    with open(f"/proc/{process}/status") as status:
        memory = int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) * 1024
    return len(os.listdir(f"/proc/{process}/fd")), memory


@functools.cache
def liar():
    watchdog.start()
    made = f"{tempfile.mkdtemp(prefix=watchdog.mark())}/liar"
    subprocess.run(
        ["cc", "-O2", "-Wall", "-Wextra", "-Werror", REPOSITORY / "Tests/link/liar.c", "-o", made], check=True)
    return made


@contextlib.contextmanager
def lying(lab, lie):
    a = gateway(lab, lab.a, compression="auto")
    a.environment.update(LIAR=lie, LIAR_PROGRAM=str(GATEWAY))
    with a, gateway(lab, lab.b, compression="auto") as b:
        wait_until_up(lab, a, b)
        yield a, liar()


@contextlib.contextmanager
def streams(lab):
    """TCP both ways, and the longest time in which nothing came of each, afterwards."""
    gaps, ending, threads = {}, threading.Event(), []
    for sender in (lab.a, lab.b):
        receiver = lab.other(sender)
        listener = receiver.host.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((receiver.v4, 0))
        listener.listen(1)
        out = sender.host.socket(socket.AF_INET, socket.SOCK_STREAM)
        out.connect(listener.getsockname())
        into, _ = listener.accept()
        threads += [threading.Thread(target=pour, args=(out, ending)),
                    threading.Thread(target=drain, args=(into, sender.letter, gaps))]
        listener.close()
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    yield gaps
    time.sleep(0.5)
    ending.set()
    for thread in threads:
        thread.join()


def pour(out, ending):
    data = os.urandom(16384)
    while not ending.is_set():
        out.sendall(data)
        time.sleep(0.005)
    out.close()


def drain(into, name, gaps):
    longest, last = 0.0, time.monotonic()
    while into.recv(1 << 20):
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    gaps[name] = longest
    into.close()


class Heard:
    missing, longest = 0, 0.0


@contextlib.contextmanager
def call(lab):
    """A packet each twenty milliseconds, as a telephone sends them: how many did not come, and the longest silence."""
    heard, ending, seen = Heard(), threading.Event(), []
    out, into = (site.host.socket(socket.AF_INET, socket.SOCK_DGRAM) for site in (lab.a, lab.b))
    into.bind((lab.b.v4, 7078))
    into.settimeout(1)
    out.connect((lab.b.v4, 7078))
    sent = 0

    def speak():
        nonlocal sent
        start = time.monotonic()
        while not ending.is_set():
            out.send(struct.pack(">I", sent) + os.urandom(156))
            sent += 1
            time.sleep(max(0, start + sent * 0.02 - time.monotonic()))

    def listen():
        with contextlib.suppress(TimeoutError):
            while True:
                number = struct.unpack(">I", into.recv(2048)[:4])[0]
                seen.append((number, time.monotonic()))

    threads = [threading.Thread(target=speak), threading.Thread(target=listen)]
    for thread in threads:
        thread.start()
    yield heard
    ending.set()
    for thread in threads:
        thread.join()
    heard.missing = sent - len({number for number, _ in seen})
    heard.longest = max(b - a for (_, a), (_, b) in zip(seen, seen[1:]))
    out.close()
    into.close()
