"""The matrix of sizes: what a path takes outside and what it keeps to itself, against what is sent inside."""

import contextlib
import itertools
import socket
import threading
import time
from typing import NamedTuple

from . import payload
from .ethernet import config as frames_config
from .gateway import Gateway, gateway
from .topology import Lab
from .traffic import ask_echo, tcp_socket, udp_echo

DATAGRAMS = (1, 1200, 1472, 8000)
MEGABYTE = 1 << 20


class Ground(NamedTuple):
    """What the namespaces are made for."""

    family: int
    """4 or 6: IP outside."""
    device: str
    """`tun` or `tap`."""


class Cell(NamedTuple):
    """outer: what the path takes. icmp, fragments: whether it says so, and lets fragments pass. inner: the tunnel's MTU."""

    ground: Ground
    outer: int
    icmp: bool
    fragments: bool
    inner: int

    def __str__(self):
        return (f"{self.ground.device}{self.ground.family}-{self.outer}-{'icmp' if self.icmp else 'silent'}"
                f"-{'fragments' if self.fragments else 'whole'}-{self.inner}")


class Outcome(NamedTuple):
    first: float
    """Seconds from the call that connects, with gateways that have not met, to the first byte at the receiver."""
    whole: float
    """Seconds to the last byte of a megabyte."""
    back: float
    """The same for a megabyte in the other direction, when they know each other."""


def cells(families=(4, 6), devices=("tun", "tap"), outer=(1500, 1420, 1280, 576), inner=(1420, 1500, 9000)):
    """All of them; IPv6 needs 1280 outside."""
    for family, device in itertools.product(families, devices):
        for mtu, icmp, fragments, inside in itertools.product(outer, (True, False), (True, False), inner):
            if family == 4 or mtu >= 1280:
                yield Cell(Ground(family, device), mtu, icmp, fragments, inside)


class Field:
    """host a - gateway a - router - gateway b - host b. With `tap` the hosts' networks are one Ethernet."""

    def __init__(self, ground):
        self.ground = ground
        self.lab = Lab(router=True, outer=ground.family)

    def __enter__(self):
        self.lab.__enter__()
        if self.ground.device == "tap":
            for site in self.lab.sites:
                self._bridge(site)
        return self

    def __exit__(self, *_):
        self.lab.__exit__(*_)

    def addresses(self, site):
        if self.ground.device == "tun":
            return site.v4, site.v6
        return f"10.5.0.{site.number}", f"fd05::{site.number}"

    def run(self, cell, compression="auto"):
        """Starts the gateways, sends everything through them, and fails unless it arrives."""
        assert cell.ground == self.ground
        self.lab.router.narrow(cell.outer)
        self.lab.router.drop(icmp=not cell.icmp, fragments=not cell.fragments)
        self._set_mtu(cell.inner if self.ground.device == "tap" else max(cell.inner, 1500))
        with contextlib.ExitStack() as stack:
            for site in self.lab.sites:
                stack.enter_context(self._gateway(site, cell, compression))
            return self._send(cell)

    def _send(self, cell):
        (a, b), data = self.lab.sites, payload.random(MEGABYTE)
        a6, b4 = self.addresses(a)[1], self.addresses(b)[0]
        first, whole = send_timed(a.host, b.host, b4, data)
        _, back = send_timed(b.host, a.host, a6, data)
        with udp_echo(b.host, b4):
            for size in DATAGRAMS:
                datagram = payload.random(size)
                assert ask_echo(a.host, (b4, 7002), datagram) == datagram
        done = a.host.run("ping", "-n", "-M", "do", "-c", 1, "-W", 2, "-s", cell.inner - 28, b4, check=False)
        assert " 0% packet loss" in done.stdout, f"a ping of {cell.inner} bytes: {done.stdout}"
        return Outcome(first, whole, back)

    def _gateway(self, site, cell, compression):
        interface = (f"MTU = {cell.inner}",)
        if self.ground.device == "tun":
            return gateway(self.lab, site, compression=compression, interface=interface)
        path = self.lab.directory / f"{site.name}.conf"
        path.write_text(frames_config(site, [self.lab.other(site)], compression=compression, interface=interface))
        path.chmod(0o600)
        return Gateway(self.lab, site, path)

    def _bridge(self, site):
        for namespace in (site.gateway, site.host):
            namespace.run("ip", "address", "flush", "dev", "lan")
        site.gateway.run("ip", "link", "add", "br0", "up", "type", "bridge")
        site.gateway.run("ip", "link", "set", "lan", "master", "br0")
        v4, v6 = self.addresses(site)
        site.host.run("ip", "address", "add", f"{v4}/24", "dev", "lan")
        site.host.run("ip", "address", "add", f"{v6}/64", "dev", "lan", "nodad")

    def _set_mtu(self, mtu):
        for site in self.lab.sites:
            for namespace in (site.gateway, site.host):
                namespace.run("ip", "link", "set", "lan", "mtu", mtu)
                # What they have learned of the cell before.
                for family in ("-4", "-6"):
                    namespace.run("ip", family, "route", "flush", "cache", check=False)
            if self.ground.device == "tap":
                site.gateway.run("ip", "link", "set", "br0", "mtu", mtu)


def send_timed(sender, receiver, address, data, timeout=20):
    """Sends once over TCP; seconds from the call that connects to the first byte and to the last."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(tcp_socket(receiver, address, timeout))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 7001))
        listener.listen(1)
        came, pieces, errors = [], [], []

        def receive():
            try:
                with listener.accept()[0] as connection:
                    connection.settimeout(timeout)
                    while piece := connection.recv(1 << 18):
                        came.append(time.monotonic())
                        pieces.append(piece)
            except OSError as error:
                errors.append(error)

        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        start = time.monotonic()
        out = stack.enter_context(tcp_socket(sender, address, timeout))
        out.connect((address, 7001))
        out.sendall(data)
        out.shutdown(socket.SHUT_WR)
        thread.join(timeout)
    received = b"".join(pieces)
    assert not errors and received == data, f"{len(received)} of {len(data)} bytes arrived: {errors}"
    return came[0] - start, came[-1] - start


class Streams:
    """TCP in several streams at once, from one host to another, for as long as the block lasts; and when something of each arrived."""

    def __init__(self, sender, receiver, address, count=3, timeout=20):
        self._ends = sender, receiver
        self._address, self._count, self._timeout = address, count, timeout
        self.arrivals = [[] for _ in range(count)]

    def __enter__(self):
        (sender, receiver), self._stack, self._ending = self._ends, contextlib.ExitStack(), threading.Event()
        listener = self._stack.enter_context(tcp_socket(receiver, self._address, self._timeout))
        listener.bind((self._address, 7004))
        listener.listen(self._count)
        data = payload.random(MEGABYTE)
        for arrivals in self.arrivals:
            out = self._stack.enter_context(tcp_socket(sender, self._address, self._timeout))
            out.connect((self._address, 7004))
            into = self._stack.enter_context(listener.accept()[0])
            into.settimeout(self._timeout)
            for work in ((self._send, out, data), (self._receive, into, arrivals)):
                thread = threading.Thread(target=work[0], args=work[1:], daemon=True)
                thread.start()
                self._stack.callback(thread.join)
            self._stack.callback(out.shutdown, socket.SHUT_RDWR)
        self._stack.callback(self._ending.set)
        return self

    def __exit__(self, *_):
        self._stack.close()

    def longest_pause(self, since, until):
        """The longest time in which nothing of some stream arrived, in a span of time."""
        return max(
            later - one for arrivals in self.arrivals
            for one, later in itertools.pairwise([since, *(at for at in list(arrivals) if since < at < until), until]))

    def _send(self, out, data):
        with contextlib.suppress(OSError):
            while not self._ending.is_set():
                out.sendall(data[:1 << 16])

    def _receive(self, into, arrivals):
        with contextlib.suppress(OSError):
            while into.recv(1 << 16):
                arrivals.append(time.monotonic())
