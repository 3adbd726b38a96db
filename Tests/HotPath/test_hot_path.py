"""The path of a packet allocates nothing, retains nothing, checks no exclusivity and takes no lock.

    swift build -c release && cd Tests/HotPath && sudo python3 -m pytest -s        (-s shows the counts)

Real daemons of the release build carry iperf3's traffic between the namespaces of Tests/System/lab. counter.c, loaded
before libc and Swift's runtime, counts what the data thread calls; callers are resolved to functions, so that a count
that grows says where. With valgrind there are also instructions a packet, without a verdict: they are for comparing.
It needs root, cc, iperf3 and, for names, addr2line.
"""

import collections
import contextlib
import json
import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "System"))

from lab import Lab, wait_until  # noqa: E402
from lab.ethernet import Offices, config  # noqa: E402
from lab.gateway import gateway  # noqa: E402
from lab.link import wait_until_up  # noqa: E402

# As in counter.c.
KINDS = ("malloc", "calloc", "realloc", "free", "memalign", "swift_retain", "swift_release", "swift_bridgeObjectRetain",
         "swift_bridgeObjectRelease", "swift_allocObject", "swift_beginAccess", "pthread_mutex_lock")
ALLOCATIONS = ("malloc", "calloc", "realloc", "memalign", "swift_allocObject")
CALLS, CALLERS = 16, 1 << 12
SIZE = 8 * CALLS + 24 * CALLERS

MOST_ALLOCATIONS = 0.001
MOST_OTHERS = float(os.environ.get("HOT_PATH_MOST", "0.01"))
PACKETS = 100_000

CASES = {
    "TCP, ChaCha20-Poly1305": {},
    "TCP, AES-256-GCM": {"peer": ["Cipher = auto"]},
    "TCP, deflate": {"compression": "deflate"},
    "TCP, automatic compression": {"compression": "auto", "peer": ["CompressionSkip = 10.77.0.0/16, 7777"]},
    "UDP of 64 bytes, bundles": {"compression": "auto"},
    "TCP, in front of a link with a rate": {
        "compression": "auto", "interface": ["Rate = 500mbit"], "peer": ["CompressionSkip = 7777"]},
    "TCP, in front of a link whose rate is found": {
        "compression": "auto", "peer": ["CompressionSkip = 7777", "Rate = auto 400mbit..1gbit"]},
    "TCP, no offloads": {"interface": ["Offload = off"]},
    "UDP of 64 bytes": {},
    "TCP, somebody traces": {},
    "TCP, automatic compression, somebody traces": {
        "compression": "auto", "peer": ["CompressionSkip = 10.77.0.0/16, 7777"]},
    "TCP, PostQuantum demanded": {"peer": ["PostQuantum = require"]},
    "TCP, somebody captures": {},
}


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    made = tmp_path_factory.mktemp("hot-path") / "counter.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", made, HERE / "counter.c", "-ldl"], check=True)
    return made


@pytest.mark.parametrize("case", CASES)
def test_the_path_of_a_packet_calls_neither_allocator_nor_runtime(lab, library, tmp_path, case):
    ends = {"sender": gateway(lab, lab.a, **CASES[case]), "receiver": gateway(lab, lab.b, **CASES[case])}
    with counted(ends, library, tmp_path) as counters:
        wait_until_up(lab, *ends.values())
        check(case, counters, lab.a, lab.b)


@pytest.mark.parametrize("compression", ["off", "auto"])
def test_neither_does_that_of_a_frame_through_a_hub(library, tmp_path, compression):
    with Offices(3) as lan:
        hub, near, far = lan
        macs = [f"#: AllowedMACs = {near.mac}, {hub.mac}, {far.mac}"]
        ends = {}
        for role, site, peers in (("hub", hub, [near, far]), ("sender", near, [hub]), ("receiver", far, [hub])):
            text = config(site, peers, compression=compression, peer=macs,
                          interface=["#: Hub = true"] if site is hub else [])
            ends[role] = lan.gateway(site, text)
        with counted(ends, library, tmp_path) as counters:
            lan.wait_until_pinged(near, far)
            check(f"frames, compression {compression}", counters, near, far)


@pytest.mark.parametrize("cipher", ["chacha20poly1305", "auto"])
def test_neither_does_that_of_a_frame_between_two_offices(library, tmp_path, cipher):
    with Offices(2) as lan:
        near, far = lan
        peer = [f"#: AllowedMACs = {near.mac}, {far.mac}", f"#: Cipher = {cipher}"]
        ends = {role: lan.gateway(site, config(site, [other], peer=peer))
                for role, site, other in (("sender", near, far), ("receiver", far, near))}
        with counted(ends, library, tmp_path) as counters:
            lan.wait_until_pinged(near, far)
            check(f"frames between two, {cipher}", counters, near, far)
            shared = ends["sender"].peer()["compression"]["bundles"]
            # Frames that stand for several share what they travel in: a datagram has 0.95 of them at least.
            assert shared["packets"] > 0.9 * shared["datagrams"] > 1000


@contextlib.contextmanager
def counted(ends, library, directory):
    """Runs daemons, by role, and counts what they call."""
    with contextlib.ExitStack() as stack:
        counters = {}
        for role, end in ends.items():
            file = directory / f"counters-{role}"
            file.write_bytes(bytes(SIZE))
            end.environment |= {"LD_PRELOAD": str(library), "HOT_PATH_COUNTERS": str(file)}
            counters[role] = Counters(file, stack.enter_context(end))
        yield counters


def check(case, counters, near, far):
    with iperf3(near, far, udp=case.startswith("UDP")), watched(case, counters):
        time.sleep(1)
        before, packets = {role: one.read() for role, one in counters.items()}, segments(near)
        wait_until(lambda: segments(near) - packets >= PACKETS, f"{PACKETS} packets pass", timeout=60)
        time.sleep(2)
        packets = segments(near) - packets
        after = {role: one.read() for role, one in counters.items()}
    assert all(calls["malloc"] and calls["swift_retain"] for calls, _ in before.values()), "nothing is counted at all"
    failures = []
    for role, one in counters.items():
        calls, places = after[role][0] - before[role][0], after[role][1] - before[role][1]
        print(f"\n{case}, {role}: {packets} packets")
        for kind in KINDS:
            print(f"    {kind:26} {calls[kind] / packets:9.5f} a packet")
        for (kind, address), count in places.most_common(12):
            if count / packets > 0.0002:
                print(f"        {count / packets:9.5f} {kind} from {one.name_of(address)}")
        if sum(calls[kind] for kind in ALLOCATIONS) / packets >= MOST_ALLOCATIONS:
            failures.append(f"{role} allocates")
        failures += [f"{role}: {kind}" for kind in KINDS
                     if kind not in ALLOCATIONS and calls[kind] / packets >= MOST_OTHERS]
        one.daemon.check_alive()
    assert not failures


@contextlib.contextmanager
def watched(case, counters):
    """Somebody watches the packets of both daemons, if the case says so."""
    query = {"traces": "trace?rate=100&seconds=60", "captures": "capture?content=plain&bytes=64&seconds=60&count=999999999&size=9999999999"}
    wanted = query.get(case.split()[-1])
    with contextlib.ExitStack() as stack:
        for one in counters.values() if wanted else ():
            process = subprocess.Popen(["curl", "-sN", "--unix-socket", one.daemon.control, f"http://gateway/v1/{wanted}"],
                                       stdout=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
@pytest.mark.parametrize("case", ["TCP, ChaCha20-Poly1305", "TCP, AES-256-GCM"])
@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_instructions_a_packet(lab, tmp_path, case, role):
    # valgrind runs one thread at a time; without fairness a waiting one may never get its turn.
    tool = ["valgrind", "--tool=callgrind", "--separate-threads=yes", "--fair-sched=yes", "--vgdb=no",
            f"--callgrind-out-file={tmp_path}/out"]
    ends = [gateway(lab, site, **CASES[case]) for site in lab.sites]
    watched = ends[role == "receiver"]
    # Older ones stumble over DWARF 5.
    stripped = tmp_path / "gateway"
    subprocess.run(["strip", "--strip-debug", "-o", stripped, watched.argv[0]], check=True)
    watched.argv = [*tool, stripped, *watched.argv[1:], "--no-sandbox"]
    with ends[0], ends[1]:
        wait_until_up(lab, *ends, timeout=30)
        packets = segments(lab.a)
        with iperf3(lab.a, lab.b):
            wait_until(lambda: segments(lab.a) - packets >= 30_000, "packets pass", timeout=60)
        packets = segments(lab.a) - packets
    said = subprocess.run(["callgrind_annotate", "--inclusive=no", "--threshold=97", tmp_path / "out-01"],
                          capture_output=True, text=True).stdout
    print(f"\n{case}, {role}, {packets} packets; instructions a packet, the start's among them:")
    for match in list(re.finditer(r"^ *([\d,]+) \(.*?%\) +(.*)$", said, re.M))[:18]:
        count, name = int(match[1].replace(",", "")), match[2]
        print(f"    {count / packets:9.1f}  {demangled([name.split(':', 1)[-1].split(' [')[0]])[0][:110]}")


class Counters:
    """The counters of one daemon, as they are."""

    def __init__(self, file, daemon):
        self.daemon = daemon
        with open(file, "r+b") as opened:
            self.memory = mmap.mmap(opened.fileno(), SIZE)

    def read(self):
        """Calls by kind, and by kind and the address that follows the call."""
        data = bytes(self.memory)
        calls = collections.Counter(dict(zip(KINDS, struct.unpack_from(f"<{len(KINDS)}Q", data))))
        places = collections.Counter()
        for kind, caller, count in struct.iter_unpack("<3Q", data[8 * CALLS:]):
            if count:
                places[KINDS[kind], caller] = count
        return calls, places

    def name_of(self, address):
        """The function, file and line of an address in the daemon."""
        for line in Path(f"/proc/{self.daemon.process.pid}/maps").read_text().splitlines():
            span, _, offset, _, _, *path = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in span.split("-"))
            if start <= address < end and path:
                file = path[0]
                place = address - 1 - start + int(offset, 16)
                return f"{symbol(file, place)} ({Path(file).name}+{place:#x})"
        return hex(address)


def symbol(file, offset):
    """What stands at an offset of an ELF file, whose segments lie at other addresses than in the file."""
    headers = subprocess.run(["readelf", "-lW", file], capture_output=True, text=True).stdout
    for match in re.finditer(r"LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", headers):
        start, address, size = (int(part, 16) for part in match.groups())
        if start <= offset < start + size:
            said = subprocess.run(["addr2line", "-ifse", file, hex(offset - start + address)],
                                  capture_output=True, text=True).stdout.split("\n")
            names = demangled([name for name in said[0::2] if name])
            return " < ".join(f"{name} {line}" for name, line in zip(names, said[1::2]))
    return "?"


def demangled(names):
    with contextlib.suppress(OSError):
        said = subprocess.run(["swift-demangle", "--simplified", "--compact", *names], capture_output=True, text=True)
        return said.stdout.splitlines() or names
    return names


@contextlib.contextmanager
def iperf3(near, far, udp=False, seconds=30):
    server = subprocess.Popen(far.host.command("iperf3", "-s", "-1"), stdout=subprocess.DEVNULL)
    kind = ["-u", "-l", 64, "-b", "100M"] if udp else ["-C", "cubic"]
    try:
        wait_until(lambda: ":5201" in far.host.run("ss", "-ltn").stdout, "iperf3 listens")
        client = subprocess.Popen(near.host.command("iperf3", "-c", far.v4, "-t", seconds, *kind),
                                  stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            client.terminate()
            client.wait()
    finally:
        server.terminate()
        server.wait()


def segments(site):
    """TCP segments and UDP datagrams that a host has sent, each piece of a super-segment counted."""
    said = json.loads(site.host.run("nstat", "-asj", "--noupdate").stdout)["kernel"]
    return said.get("TcpOutSegs", 0) + said.get("UdpOutDatagrams", 0) + said.get("Udp6OutDatagrams", 0)
