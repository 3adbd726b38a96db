#!/usr/bin/env -S /usr/bin/python3 -B
"""A hub of many sites, and frames to everybody: how many arrive, how long the last takes, what the hub spends on it, and its memory.

  bench/broadcast.py [--sites 500] [--frames 100] [--burst 20]

The hub is a real daemon with a bridge and a host behind it; the sites are sessions of the tests' endpoint in Python, one UDP socket each, that
read nothing meanwhile: the kernel notes when a datagram came. Frames of 60 and of 900 bytes come from the hub's host and from one site, one every
20 ms, and then so many at once. Runs as root; GATEWAY_BIN names the gateway to measure.
"""

import argparse
import contextlib
import os
import socket
import statistics
import struct
import sys
import time
from pathlib import Path

import bed  # noqa: F401 - lets the laboratory be found
from lab.ethernet import Offices, config
from lab.site import Keys

# What `make test` has put there; the page's endpoint needs it.
sys.path.append(str(Path(__file__).resolve().parents[1] / ".build/python"))
from page import noise  # noqa: E402
from page.peer import Peer  # noqa: E402
from page.records import Hello, record  # noqa: E402

_ETHERNET = 0x16
_ADDRESS = "192.0.2.200"
_FIRST_PORT = 20_000
_EVERYBODY = b"\xff" * 6
_EXPERIMENTAL = 0x88B5
_TICKS = os.sysconf("SC_CLK_TCK")


def main():
    options = arguments()
    with contextlib.ExitStack() as stack:
        lan = stack.enter_context(Offices(1))
        site = lan[0]
        lan.wide.run("ip", "address", "add", f"{_ADDRESS}/24", "dev", "br0")
        keys = [Keys() for _ in range(options.sites)]
        text = config(site, [], interface=["#: Hub = true"]) + "".join(f"\n[Peer]\nPublicKey = {one.public}\n" for one in keys)
        hub = stack.enter_context(lan.gateway(site, text))
        print(f"  memory of the hub: {memory(hub):.1f} MB with {options.sites} peers and no session,", end=" ", flush=True)
        sites = [stack.enter_context(joined(lan, site, one, number)) for number, one in enumerate(keys)]
        print(f"{memory(hub):.1f} MB with {options.sites} sessions")
        host = stack.enter_context(site.host.socket(socket.AF_PACKET, socket.SOCK_RAW))
        host.bind(("lan", 0))
        sender = sites[options.sites // 2]
        ways = {"its host": (lambda frame: host.send(frame), sites),
                "a site": (lambda frame: sender.send(record(_ETHERNET, 0, frame)), [one for one in sites if one is not sender])}
        print("  bytes  from       frames  at once  arrived         last after, ms   hub's CPU, ms each")
        for size in (60, 900):
            for way, (send, others) in ways.items():
                for count, pause in ((options.frames, 0.02), (options.burst, 0)):
                    show(hub, others, send, size, way, count, pause)
        print(f"  memory of the hub afterwards: {memory(hub):.1f} MB; drops: {drops(hub)}")


@contextlib.contextmanager
def joined(lan, hub, keys, number):
    """A site that has a session and has said that it takes frames."""
    with lan.wide.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((_ADDRESS, _FIRST_PORT + number))
        own = Hello(codecs=frozenset(), records=frozenset([_ETHERNET]))
        peer = Peer(bound, noise.Keys.from_base64(keys.private, hub.keys.public), (hub.outer, 51820), own=own)
        peer.connect()
        peer.run(lambda: peer.heard(Hello), "the hub's HELLO")
        yield peer


def show(hub, others, send, size, way, count, pause):
    for one in others:
        # A keepalive: a site that says nothing would be asked for a new session, which nobody here answers.
        one.send(b"")
    time.sleep(0.2)
    for one in others:
        drain(one.socket)
    sent, before = {}, processor(hub)
    for number in range(count):
        # The first of a burst is timed, too.
        sent[number] = time.time()
        send(_EVERYBODY + struct.pack("!6sHI", b"\x52\x54\0\0\1" + bytes([way == "a site"]), _EXPERIMENTAL, number) + bytes(size - 18))
        time.sleep(pause)
    time.sleep(1)
    spent = (processor(hub) - before) / count * 1000
    last, arrived = {}, 0
    for one in others:
        for datagram, at in drain(one.socket):
            if struct.unpack_from("<I", datagram) != (noise.TRANSPORT,):
                continue
            payload = one.session.open(datagram)
            kind, number = struct.unpack_from("!HI", payload.ljust(22, b"\0"), 4 + 12)
            # The host speaks to groups of its own accord, too.
            if payload[4:10] != _EVERYBODY or kind != _EXPERIMENTAL:
                continue
            last[number] = max(last.get(number, 0), at)
            arrived += 1
    delays = [last[number] - (sent[number] if pause else sent[0]) for number in last]
    delay = statistics.median(delays) if pause else max(delays)
    print(f"  {size:5}  {way:9}  {count:6}  {'' if pause else 'yes':7}  {arrived:6} of {count * len(others):6}"
          f"  {delay * 1000:14.1f}   {spent:18.2f}", flush=True)


def drain(bound):
    """The datagrams that wait, and when they came."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            datagram, control, _, _ = bound.recvmsg(65_535, 128, socket.MSG_DONTWAIT)
            told = {kind: value for _, kind, value in control}
            seconds, nanoseconds = struct.unpack("qq", told[35])
            found.append((datagram, seconds + nanoseconds / 1e9))
    return found


def memory(daemon):
    with open(f"/proc/{daemon.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def drops(daemon):
    stats = daemon.stats()
    counts = dict(stats["drops"])
    for peer in stats["peers"]:
        for reason, count in peer["drops"].items():
            counts[reason] = counts.get(reason, 0) + count
    return {reason: count for reason, count in counts.items() if count} or "none"


def processor(daemon):
    with open(f"/proc/{daemon.process.pid}/stat") as stat:
        fields = stat.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=500)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--burst", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
