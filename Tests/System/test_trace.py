"""`gatewayctl trace` and `gatewayctl capture`: each packet's way through the chain, and the packets themselves."""

import json
import os
import re
import subprocess
import threading

import pytest

from lab import Lab, link, wait_until
from lab.api import ask, connect
from lab.gateway import GATEWAYCTL, REPOSITORY

DISSECTOR = REPOSITORY / "packaging/wireshark/gateway.lua"


@pytest.fixture(scope="module")
def lab():
    with Lab(ipv6=False) as lab, link(lab, compression="zstd", a={"peer": ("#: Name = far",)}) as lab.gateways:
        wait_until(lambda: all(one.peer()["isGateway"] for one in lab.gateways), "both know that the other is a gateway")
        yield lab


@pytest.fixture
def ours(lab):
    return lab.gateways[0]


class Tracing:
    """gatewayctl, at work; its lines."""

    def __init__(self, gateway, *arguments):
        self.process = subprocess.Popen(
            [GATEWAYCTL, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "GATEWAY_RUN_DIR": str(gateway.run_directory), "WG_COLOR_MODE": "never", "LC_ALL": "C.UTF-8"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def find(self, wanted):
        """The first line that is wanted."""
        for line in self.process.stdout:
            if wanted(line):
                return line.rstrip("\n")
        raise AssertionError(f"it ended: {self.process.stderr.read()}")


class Pings:
    """Pings, until the block ends."""

    def __init__(self, lab, target=None, size=800, sender=None):
        sender = sender or lab.a
        self.argv = sender.host.command("ping", "-q", "-n", "-i", "0.02", "-s", size, "-p", "aa", target or lab.other(sender).v4)

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@pytest.mark.fast
def test_a_line_says_what_a_packet_becomes_on_its_way_out_and_in(lab, ours):
    with Pings(lab), Tracing(ours, "trace", "far", "icmp") as trace:
        out = trace.find(lambda line: " out " in line and "zstd" in line)
        into = trace.find(lambda line: " in " in line and "zstd" in line)
    assert re.search(rf"^\d\d:\d\d:\d\d\.\d{{3}} out far  828 B icmp {lab.a.v4} → {lab.b.v4} ▸ zstd \d+ ▸ chacha \d+ B$", out), out
    assert re.search(rf"in  far  chacha \d+ B ▸ zstd ▸ 828 B icmp {lab.b.v4} → {lab.a.v4}$", into), into


def test_what_is_left_plain_and_what_is_dropped_say_why(lab, ours):
    with Pings(lab, size=64), Tracing(ours, "trace", ours.name, "--json", "skipped") as trace:
        line = json.loads(trace.find(lambda line: '"icmp"' in line))
    assert line["skipped"] and "codec" not in line and line["wireBytes"] > 0 and line["peer"] == "far"
    # An address that the daemon's own host sends there, and that is nobody's.
    lab.a.gateway.run("ip", "route", "add", "10.99.0.0/24", "dev", ours.name)
    with Pings(lab, "10.99.0.1", sender=lab.a) as _, Tracing(ours, "trace", "dropped", "10.99.0.0/24") as trace:
        lab.a.gateway.run("ping", "-c", "3", "-i", "0.2", "-W", "1", "10.99.0.1", check=False)
        line = trace.find(lambda line: "10.99.0.1" in line)
    assert line.endswith("▸ dropped: noPeer"), line


def test_a_count_and_the_time_end_it(lab, ours):
    with Pings(lab):
        done = ours.ctl("trace", "--count", "3", "--json", "icmp")
    assert len(done.stdout.splitlines()) == 3
    assert ours.ctl("trace", "--seconds", "1", "port", "9").stdout == ""


def test_of_very_many_packets_some_are_told_and_it_says_how_many(lab, ours):
    with subprocess.Popen(lab.a.host.command("ping", "-q", "-f", "-s", "64", lab.b.v4), stdout=subprocess.DEVNULL) as flood:
        done = ours.ctl("trace", "--rate", "20", "--seconds", "3")
        flood.kill()
    assert len(done.stdout.splitlines()) < 200
    said = re.findall(r"(\d+) of (\d+) told; now one of (\d+)", done.stderr)
    assert said and int(said[-1][1]) > int(said[-1][0]) and int(said[-1][2]) > 1, done.stderr


def test_one_may_watch_at_a_time_and_when_he_goes_the_next(lab, ours):
    with Pings(lab), Tracing(ours, "trace") as trace:
        trace.find(lambda line: "icmp" in line)
        wait_until(lambda: ask(ours, "GET", "/v1/trace?seconds=1").status == 503, "somebody traces")
    wait_until(lambda: ask(ours, "GET", "/v1/trace?seconds=1").status == 200, "nobody traces any more")


def test_who_never_reads_ends_his_trace(lab, ours):
    with connect(ours) as deaf, subprocess.Popen(
            lab.a.host.command("ping", "-q", "-f", "-s", "1300", lab.b.v4), stdout=subprocess.DEVNULL) as flood:
        deaf.sendall(b"GET /v1/capture?seconds=600&size=99999999999 HTTP/1.0\r\n\r\n")
        wait_until(lambda: ask(ours, "GET", "/v1/trace?seconds=1").status == 503, "it began")
        memory = ours.resident
        wait_until(lambda: ask(ours, "GET", "/v1/trace?seconds=1").status == 200, "it has ended", timeout=60)
        flood.kill()
        assert ours.resident - memory < 60e6
    ours.check_alive()


@pytest.mark.parametrize("query", ["peer=nobody", "filter=nonsense", "filter=port+0", "rate=0", "seconds=-1", "count=x"])
def test_what_is_no_question_is_refused(ours, query):
    answer = ask(ours, "GET", f"/v1/trace?{query}")
    assert (answer.status, answer.json["code"]) == ((404, "noPeer") if "peer" in query else (400, "badQuery"))


# Captures


def tshark(file, *arguments):
    return subprocess.run(["tshark", "-r", file, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.fast
def test_a_capture_of_what_is_inside_has_the_packets_and_says_which_were_dropped(lab, ours, tmp_path):
    file = tmp_path / "plain.pcapng"
    lab.a.gateway.run("ip", "route", "replace", "10.99.0.0/24", "dev", ours.name)
    with Pings(lab):
        pings = threading.Timer(0.5, lambda: lab.a.gateway.run("ping", "-c", "3", "-W", "1", "10.99.0.1", check=False))
        pings.start()
        ours.ctl("capture", "--plain", file, ours.name, "icmp", "--seconds", "2")
        pings.join()
    assert file.stat().st_mode & 0o777 == 0o600
    fields = tshark(file, "-T", "fields", "-e", "ip.src", "-e", "ip.dst", "-e", "ip.len", "-e", "frame.comment").splitlines()
    assert f"{lab.a.v4}\t{lab.b.v4}\t828\t" in fields and f"{lab.b.v4}\t{lab.a.v4}\t828\t" in fields, fields[:5]
    assert any("10.99.0.1" in line and line.endswith("dropped: noPeer") for line in fields)


def test_a_capture_of_the_wire_has_wireguards_messages_both_ways(lab, ours, tmp_path):
    file = tmp_path / "wire.pcapng"
    with Pings(lab):
        ours.ctl("capture", "--wire", file, "far", "--count", "40")
    kinds = tshark(file, "-d", "udp.port==51820,wg", "-T", "fields", "-e", "ip.src", "-e", "wg.type").splitlines()
    assert len(kinds) == 40 and all(line.endswith("\t4") for line in kinds), kinds
    assert len({line.split()[0] for line in kinds}) == 2


@pytest.mark.parametrize("direction", ["in", "out"])
def test_the_dissector_knows_what_is_in_the_datagrams(lab, ours, tmp_path, direction):
    file = tmp_path / "payloads.pcapng"
    with Pings(lab):
        ours.ctl("capture", "--payloads", file, "far", direction, "--count", "20")
    said = tshark(file, "-X", f"lua_script:{DISSECTOR}", "-T", "fields", "-e", "gateway.type", "-e", "gateway.unit.codec",
                  "-e", "gateway.unit.decoded")
    assert re.search(r"^(0x)?(17|11)\t2\t828$", said, re.M), said


def test_a_capture_follows_no_link_and_writes_over_nothing(ours, tmp_path):
    target = tmp_path / "target"
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "there").write_text("mine")
    for name in ("link", "there"):
        done = ours.ctl("capture", "--plain", tmp_path / name, "--seconds", "1", check=False)
        assert done.returncode == 73 and "exists" in done.stderr, done.stderr
    assert not target.exists() and (tmp_path / "there").read_text() == "mine"


def test_without_colours_for_who_wants_none(lab, ours):
    """On a terminal there are colours, and with NO_COLOR none."""
    def shown(**environment):
        return subprocess.run(["script", "-qec", f"{GATEWAYCTL} show {ours.name}", "/dev/null"], capture_output=True, text=True,
                              env={**os.environ, "GATEWAY_RUN_DIR": str(ours.run_directory), **environment}).stdout

    assert "\x1b[" in shown() and "\x1b[" not in shown(NO_COLOR="1") and "\x1b[" in shown(NO_COLOR="1", WG_COLOR_MODE="always")
