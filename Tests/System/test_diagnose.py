"""`gatewayctl diagnose` names the cause: each is made for real, and the table says which step must fail and in what words.

Run alone with `-s` it prints what was said of each.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest

from lab import Keys, Lab, WireGuardGo, link, wait_until
from lab.gateway import GATEWAYCTL, Gateway, config, gateway, write_config
from lab.site import PORT, preshared_key

NAMED = ("#: Name = far",)


@pytest.fixture
def lab():
    with Lab(ipv6=False) as lab:
        yield lab


def diagnose(one, *more, code):
    """What it says, with the exit code that is expected of it."""
    environment = {"GATEWAY_RUN_DIR": str(one.run_directory), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run([GATEWAYCTL, "diagnose", one.name, "--json", *more], capture_output=True, text=True, timeout=60,
                          env=environment)
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    text = subprocess.run([GATEWAYCTL, "diagnose", one.name, *more], capture_output=True, text=True, timeout=60,
                          env=environment).stdout if SHOWS else ""
    print(text)
    assert done.returncode == code, [step for step in said["steps"] if step["status"] != "ok"]
    return said


SHOWS = bool(os.environ.get("SHOWS"))


def step(said, name, status):
    found = [one for one in said["steps"] if one["step"] == name and one["status"] == status]
    assert found, f"no {name} that {status}: {[(one['step'], one['status'], one['text']) for one in said['steps']]}"
    return found[0]


def first_failure(said):
    return next(one for one in said["steps"] if one["status"] == "fails")


# Causes on this end's side of a peer that runs, or does not: what is done to the file or the machine before or after the start, and
# what must be said.
CAUSES = {
    "endpoint's name": (
        lambda lab, text: text.replace(lab.b.endpoint, f"far.invalid:{PORT}"), (), "name", "far.invalid:51820 has no address"),
    "nobody listens": (
        None, (), "udp", "somebody refuses our datagrams"),
    "no way out": (
        None, (("ip", "route", "add", "unreachable", "192.0.2.2"),), "wayOut", "this machine has no way to 192.0.2.2:51820"),
    "own firewall": (
        None, (("nft", "add table inet t; add chain inet t o { type filter hook output priority 0; }; "
                "add rule inet t o udp dport 51820 drop"),), "firewall", "this machine does not send there"),
    "nothing comes back": (
        None, (("nft", "add table inet t; add chain inet t i { type filter hook input priority 0; policy drop; }"),),
        "udp", "nothing comes back from the endpoint"),
    "endpoint in its own tunnel": (
        lambda lab, text: text.replace(lab.b.endpoint, f"198.51.100.1:{PORT}") + "AllowedIPs = 198.51.100.0/24\n", (),
        "wayOut", "the endpoint 198.51.100.1:51820 is routed into the tunnel itself"),
    "no endpoint": (
        lambda lab, text: text.replace(f"Endpoint = {lab.b.endpoint}\n", ""), (), "endpoint",
        "it has no Endpoint here and has never come"),
    "no AllowedIPs": (
        lambda lab, text: "\n".join(line for line in text.splitlines() if "AllowedIPs" not in line) + "\n", (), "route",
        "AllowedIPs is empty"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_it_says_why_a_peer_that_is_not_there_is_not_reached(lab, cause):
    change, commands, name, text = CAUSES[cause]
    for command in commands:
        lab.a.gateway.run(*command)
    content = config(lab, lab.a, peer=NAMED)
    with Gateway(lab, lab.a, write_config(lab, lab.a, change(lab, content) if change else content)) as ours:
        if cause == "endpoint's name":
            wait_until(lambda: "lastProblem" in ours.peer(), "the name is asked for")
        said = diagnose(ours, "far", code=1)
        failure = first_failure(said)
        assert (failure["step"], failure["peer"]) == (name, "far") and text in failure["text"], failure
        assert failure["cure"]


def test_it_says_that_nobody_answers_where_no_daemon_runs(lab):
    with gateway(lab, lab.a) as ours:
        pass
    said = diagnose(ours, code=1)
    assert first_failure(said)["step"] == "daemon" and "systemctl start" in first_failure(said)["cure"]


# With a daemon at the other end, whose file is another one.


def test_it_says_at_the_receiving_end_that_the_other_has_a_wrong_public_key_for_us(lab):
    wrong = config(lab, lab.a).replace(lab.b.keys.public, Keys().public)
    with Gateway(lab, lab.a, write_config(lab, lab.a, wrong)), gateway(lab, lab.b, peer=NAMED) as theirs:
        lab.ping(lab.a, lab.b.v4)
        wait_until(lambda: "another public key than ours" in theirs.log, "its handshake is seen")
        failure = first_failure(diagnose(theirs, "far", code=1))
        assert failure["step"] == "key" and "another public key for us" in failure["text"]
        assert lab.b.keys.public in failure["cure"] and "192.0.2.1" in failure["evidence"][0]


def test_it_says_the_key_of_a_peer_of_which_this_end_has_a_wrong_one(lab):
    wrong = config(lab, lab.b, peer=NAMED).replace(lab.a.keys.public, Keys().public)
    with gateway(lab, lab.a), Gateway(lab, lab.b, write_config(lab, lab.b, wrong)) as theirs:
        lab.ping(lab.a, lab.b.v4)
        wait_until(lambda: "is no peer of ours" in theirs.log, "its handshake is seen")
        failure = first_failure(diagnose(theirs, "far", code=1))
        assert failure["step"] == "key" and failure["cure"].endswith(f"PublicKey = {lab.a.keys.public}")


def test_it_says_at_both_ends_that_the_preshared_keys_differ(lab):
    with gateway(lab, lab.a, peer=NAMED, preshared=preshared_key()) as ours, \
            gateway(lab, lab.b, peer=NAMED, preshared=preshared_key(), endpoint=False) as theirs:
        assert first_failure(diagnose(ours, "far", code=1))["step"] == "presharedKey"
        wait_until(lambda: theirs.peer().get("lastProblemCode") == "unconfirmed", "the other end sees it", timeout=15)
        failure = first_failure(diagnose(theirs, "far", code=1))
        assert failure["step"] == "presharedKey" and "PresharedKey on both ends" in failure["cure"]


def test_it_says_that_handshakes_are_not_newer_than_the_last(lab):
    with lab.record(whole=True) as wire, link(lab, b={"peer": NAMED, "endpoint": False}) as (ours, theirs):
        wire.settle()
        (initiation,) = [d.data for d in wire.sent_by(lab.a.outer, 1)][:1]
        ours.stop()
        theirs.stop()
        with theirs.start() as again, lab.a.gateway.socket(2, 2) as thrower:
            thrower.bind((lab.a.outer, PORT))
            thrower.sendto(initiation, (lab.b.outer, PORT))
            wait_until(lambda: again.peer()["endpoint"], "the first one is taken")
            thrower.sendto(initiation, (lab.b.outer, PORT))
            wait_until(lambda: again.peer().get("lastProblemCode") == "replayed", "the second is not")
            assert first_failure(diagnose(again, "far", code=1))["step"] == "clock"


def test_it_says_that_a_cipher_or_a_mode_is_refused(lab):
    with gateway(lab, lab.a, peer=(*NAMED, "#: Cipher = aes256gcm")) as ours, WireGuardGo(lab, lab.b):
        lab.a.host.run("ping", "-n", "-q", "-c", 20, "-i", "0.01", "-W", "1", lab.b.v4, check=False)
        wait_until(lambda: "error" in ours.peer(), "it is refused", timeout=15)
        failure = first_failure(diagnose(ours, "far", code=1))
        assert failure["step"] == "cipher" and "AES-256-GCM" in failure["text"]


# With a session.


def test_all_is_well_is_said_with_what_shows_it(lab):
    with link(lab, compression="auto", a={"peer": NAMED}) as (ours, _):
        said = diagnose(ours, code=0)
        named = {one["step"]: one for one in said["steps"]}
        assert all(one["status"] in ("ok", "note") for one in said["steps"])
        for name in ("daemon", "interface", "address", "route", "endpoint", "wayOut", "session", "inside", "compression", "path",
                     "forwarding"):
            assert named[name]["status"] == "ok", named[name]
        assert "round trip" in named["path"]["text"] and "the peer is a gateway" in named["compression"]["text"]
        done = lab.a.gateway.run(GATEWAYCTL, "diagnose", ours.name, env={"GATEWAY_RUN_DIR": str(ours.run_directory),
                                                                      "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        assert done.stdout.splitlines()[-1] == "nothing is wrong as far as this end can see"
        assert "tables" not in lab.a.gateway.run("nft", "list", "ruleset").stdout, "nothing stays"


def test_a_stock_peer_is_no_fault_and_told(lab):
    with gateway(lab, lab.a, peer=NAMED, compression="auto") as ours, WireGuardGo(lab, lab.b):
        wait_until(lambda: lab.ping(lab.a, lab.b.v4), "a ping comes back")
        wait_until(lambda: lab.ping(lab.a, lab.b.v4) and ours.peer().get("isGateway") is False, "it says nothing", timeout=30)
        note = step(diagnose(ours, "far", code=0), "compression", "note")
        assert "plain WireGuard" in note["text"]


# What is done to a link that works, and what must be said.
TROUBLES = {
    "interface down": (("ip", "link", "set", "{name}", "down"), "interface", "is down"),
    "address gone": (("ip", "address", "del", "10.9.0.1/32", "dev", "{name}"), "address", "lacks 10.9.0.1/32"),
    "route gone": (("ip", "route", "replace", "10.2.0.0/24", "via", "10.1.0.2"), "route", "what is for 10.2.0.0/24 goes to lan"),
    "firewall drops what comes": (
        ("nft", "add table inet t; add chain inet t i { type filter hook input priority 0; }; "
         "add rule inet t i iifname {name} drop"), "firewall", "nftables drops packets of the tunnel"),
    "policy drops what goes": (
        ("nft", "add table inet t; add chain inet t o { type filter hook output priority 0; policy drop; }; "
         "add rule inet t o udp sport 51820 accept"), "firewall", "nftables drops packets of the tunnel"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_it_says_what_was_done_to_a_link_that_worked(lab, trouble):
    command, name, text = TROUBLES[trouble]
    with link(lab, a={"peer": NAMED}) as (ours, _):
        lab.a.gateway.run(*(word.replace("{name}", ours.name) for word in command))
        failure = first_failure(diagnose(ours, "far", code=1))
        assert failure["step"] == name and text in failure["text"], failure


@contextlib.contextmanager
def traffic(namespace, *to):
    """A ping every 20 ms while something is looked at."""
    with subprocess.Popen(namespace.command("ping", "-n", "-q", "-i", "0.02", *to), stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def test_it_says_that_forwarding_is_off_when_packets_for_others_come(lab):
    with link(lab, a={"peer": NAMED}) as (ours, _), traffic(lab.b.host, lab.a.v4):
        lab.a.gateway.sysctl(ipv4__ip_forward=0)
        failure = first_failure(diagnose(ours, "far", code=1))
        assert failure["step"] == "forwarding" and "ip_forward = 0" in failure["text"]


def test_it_says_that_the_reverse_path_filter_drops(lab):
    with link(lab, a={"peer": NAMED}) as (ours, _), traffic(lab.b.host, lab.a.v4):
        # The way back to the other site is another one, and the filter is strict.
        lab.a.gateway.run("ip", "route", "replace", "10.2.0.0/24", "via", "10.1.0.2", "metric", "0")
        lab.a.gateway.sysctl(ipv4__conf__all__rp_filter=1)
        step(diagnose(ours, "far", code=1), "reversePath", "fails")


def test_it_says_which_rule_drops_what_is_forwarded(lab):
    with link(lab, a={"peer": NAMED}) as (ours, _), traffic(lab.a.host, lab.b.v4):
        lab.a.gateway.run("nft", "add table inet site; add chain inet site fw { type filter hook forward priority 0; policy drop; }")
        failure = first_failure(diagnose(ours, "far", code=1))
        assert failure["step"] == "firewall" and "inet site fw: policy drop" in failure["evidence"]


def test_it_says_the_packet_size_that_passes_a_black_hole(lab):
    with link(lab, a={"peer": NAMED}, b={"peer": NAMED}) as (ours, _):
        # What is longer than this outside vanishes, and nobody says so.
        lab.b.gateway.run("nft", "add table inet hole; add chain inet hole i { type filter hook prerouting priority -300; }; "
                          "add rule inet hole i udp dport 51820 meta length > 1300 drop")
        failure = first_failure(diagnose(ours, "far", code=1))
        assert failure["step"] == "mtu"
        # 1300 less 20 of IP, 8 of UDP and 32 of WireGuard, in steps of 16.
        assert "MTU = 1232" in failure["cure"] or "MTU = 1240" in failure["cure"], failure


def test_it_says_that_the_peer_sends_from_what_is_not_its_own(lab):
    with link(lab, a={"peer": NAMED}) as (ours, _):
        lab.b.host.run("ip", "address", "add", "10.55.0.1/32", "dev", "lan")
        lab.b.host.run("ping", "-q", "-c", 5, "-i", "0.01", "-W", "1", "-I", "10.55.0.1", lab.a.v4, check=False)
        failure = step(diagnose(ours, "far", code=1), "allowedIPs", "fails")
        assert "10.55.0.1" in "".join(failure["evidence"])


def test_it_says_that_the_other_end_does_not_take_our_addresses(lab):
    text = config(lab, lab.b, peer=NAMED).replace("10.9.0.1/32", "10.99.0.1/32")
    with gateway(lab, lab.a, peer=NAMED, compression="auto") as ours, \
            Gateway(lab, lab.b, write_config(lab, lab.b, text + "#: Compression = auto\n")):
        wait_until(lambda: lab.ping(lab.a, lab.b.v4), "the hosts reach one another")
        warning = step(diagnose(ours, "far", code=2), "inside", "warning")
        assert "the other gateway answers, 10.9.0.2 behind it does not" in warning["text"]
        assert "10.9.0.1/32" in warning["cure"] and "AllowedIPs" in warning["cure"]


def test_it_says_that_a_part_of_a_peers_network_is_another_peers(lab):
    text = config(lab, lab.a, peer=NAMED) + f"[Peer]\n#: Name = thief\nPublicKey = {Keys().public}\nAllowedIPs = 10.2.0.128/25\n"
    with Gateway(lab, lab.a, write_config(lab, lab.a, text)) as ours, gateway(lab, lab.b):
        wait_until(lambda: lab.ping(lab.a, lab.b.v4), "a ping comes back")
        note = step(diagnose(ours, "far", code=0), "allowedIPs", "note")
        assert "10.2.0.128/25, a part of 10.2.0.0/24, is thief's" in note["text"]


def test_damaged_datagrams_are_told_apart_from_a_gateway_that_is_too_slow(lab):
    with link(lab, a={"peer": NAMED}) as (ours, _), lab.b.gateway.socket(2, 3, 17) as thrower:
        for _ in range(50):
            thrower.sendto(PORT.to_bytes(2) * 2 + (208).to_bytes(2) + b"\x12\x34" + bytes(200), (lab.a.outer, 0))
        wait_until(lambda: lab.ping(lab.b, lab.a.v4) and ours.stats()["drops"]["checksum"], "the damage is counted")
        said = diagnose(ours, code=2)
        assert "not load" in step(said, "checksum", "warning")["cure"]
        assert not [one for one in said["steps"] if one["step"] == "kernel"]


def test_a_gateway_that_is_too_slow_and_offloads_that_are_off_are_told(lab):
    with link(lab, a={"peer": NAMED, "interface": ("#: Offload = off",)}) as (ours, _):
        ours.process.send_signal(signal.SIGSTOP)
        lab.a.gateway.run("ping", "-q", "-n", "-c", 2000, "-l", 2000, "-w", 1, lab.b.v4, check=False)
        ours.process.send_signal(signal.SIGCONT)
        said = diagnose(ours, code=2)
        assert "too slow" in step(said, "kernel", "warning")["text"]
        assert "tun-gro" in step(said, "offload", "note")["text"]


# It takes the machine.
@pytest.mark.alone
@pytest.mark.parametrize("others", [False, True])
def test_a_data_thread_that_has_no_time_left_is_told(lab, others):
    """Datagrams of 1300 bytes, forty of them in a call, are more than one processor seals."""
    own, *_, other = sorted(os.sched_getaffinity(0)) * 2
    flood = (f"import os, socket, time; os.sched_setaffinity(0, {{{other}}}); out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
             f"out.setsockopt(17, 103, 1300); out.connect(('{lab.b.v4}', 9)); text, end = os.urandom(52000), time.monotonic() + 30\n"
             "while time.monotonic() < end: out.send(text)")
    spin = f"import os, time; os.sched_setaffinity(0, {{{own}}}); end = time.monotonic() + 30\nwhile time.monotonic() < end: pass"
    with link(lab, a={"peer": NAMED}) as (ours, theirs), contextlib.ExitStack() as processes:
        wait_until(lambda: lab.ping(lab.a, lab.b.v4), "they talk")
        theirs.process.send_signal(signal.SIGSTOP)
        os.sched_setaffinity(ours.process.pid, {own})
        for command in (flood, *[spin] * (3 if others else 0)):
            process = processes.enter_context(subprocess.Popen(lab.a.host.command(sys.executable, "-c", command)))
            processes.callback(process.kill)
        before = ours.peer()["txBytes"]
        wait_until(lambda: ours.peer()["txBytes"] > before + 10_000_000, "it floods", timeout=20)
        said = diagnose(ours, code=2)
        theirs.process.send_signal(signal.SIGCONT)
    text = step(said, "cpu", "warning")["text"]
    assert "others here take it" in text or not others and "as fast as it gets" in text


def test_a_queue_that_stands_is_told(lab):
    with link(lab, a={"peer": (*NAMED, "#: Rate = 500kbit")}) as (ours, _), \
            traffic(lab.a.host, "-i", "0.002", "-s", "1300", lab.b.v4):
        wait_until(lambda: ours.peer()["queue"].get("delayMicrosecondsP50", 0) > 100_000, "it stands", timeout=20)
        said = diagnose(ours, "far", code=2)
        assert "half of the packets wait" in step(said, "queue", "warning")["text"]


def test_a_port_that_changes_again_and_again_is_told_to_be_a_nat_that_forgets(lab):
    with link(lab, a={"peer": NAMED, "endpoint": False}, first="b") as (ours, theirs):
        for port in (51901, 51902):
            lab.b.gateway.run("wg", "set", theirs.name, "listen-port", port)
            wait_until(lambda: lab.ping(lab.b, lab.a.v4) and ours.peer()["endpoint"].endswith(f":{port}"), "it comes from there")
        warning = step(diagnose(ours, "far", code=2), "keepalive", "warning")
        assert "PersistentKeepalive = 25 on the other end" in warning["cure"]


# Ping.


def test_a_gateway_is_pinged_by_record_and_a_stock_peer_inside(lab):
    with link(lab, compression="auto", a={"peer": NAMED}) as (ours, _):
        # Nothing inside answers, and it is no matter.
        lab.b.gateway.run("nft", "add table inet t; add chain inet t i { type filter hook input priority 0; }; "
                          "add rule inet t i icmp type echo-request drop")
        lines = [json.loads(line) for line in ours.ctl("ping", ours.name, "far", "--json", "-c", "2").stdout.splitlines()]
        assert [one["by"] for one in lines] == ["record"] * 2 and all(0 < one["microseconds"] < 1e6 for one in lines)
        assert "far: 1 of 1 answered" in ours.ctl("ping", ours.name, "far", "-c", "1").stdout


def test_a_stock_peer_is_pinged_inside_and_silence_ends_with_1(lab):
    with gateway(lab, lab.a, peer=NAMED) as ours:
        with WireGuardGo(lab, lab.b):
            (line,) = ours.ctl("ping", ours.name, "far", "--json", "-c", "1").stdout.splitlines()
            assert json.loads(line)["by"] == "icmp" and json.loads(line)["microseconds"] > 0
    with gateway(lab, lab.a, peer=NAMED) as ours:
        done = ours.ctl("ping", ours.name, "far", "-c", "1", check=False)
        assert done.returncode == 1 and "diagnose" in done.stdout


