"""One visit: a tunnel is brought up, measured in every way that was asked for, and taken down."""

import contextlib
import subprocess
import time

import cost
import echo
import iperf
from bed import Bed
from cells import Cell
from lab import wait_until

IDLE_ROUNDS = 3
UDP_ROUNDS = 3
UDP_SIZE = 64

_FAILURES = (AssertionError, OSError, subprocess.SubprocessError)


class Visit:
    """The samples and the failures of one visit, by cell."""

    def __init__(self, tunnel, measures, seconds):
        self.tunnel, self.measures, self.seconds = tunnel, measures, seconds
        self.samples, self.failures = {}, {}

    def run(self):
        # How a daemon ends is the tests' business: what was measured stands.
        with Bed() as bed, contextlib.suppress(AssertionError), contextlib.ExitStack() as stack:
            try:
                running = self.tunnel.start(bed, stack)
                wait_until(bed.carries, "a full packet comes back")
                time.sleep(0.5)
                running.check_alive()
            except _FAILURES as error:
                for cell in Cell.of(self.measures):
                    self._fail(cell, f"did not come up: {error}")
            else:
                self._measure(bed, running)
        return self

    def _measure(self, bed, running):
        for measure, act in (("idle", self._idle), ("tcp1", self._tcp1), ("tcp4", self._tcp4),
                             ("loaded", self._loaded), ("udp", self._udp)):
            if measure in self.measures:
                with self._failing(Cell.of([measure])):
                    act(bed, running)
                    running.check_alive()
        with self._failing([Cell.MEMORY]):
            running.check_alive()
            self._add(Cell.MEMORY, cost.peak_megabytes(running.daemons))

    def _idle(self, bed, _):
        for _ in range(IDLE_ROUNDS):
            self._add(Cell.IDLE, echo.ping(bed, count=15, interval=0.05).median)

    def _tcp1(self, bed, running):
        self._tcp(bed, running, 1, Cell.TCP1_THERE, Cell.TCP1_BACK, Cell.COST1)

    def _tcp4(self, bed, running):
        self._tcp(bed, running, 4, Cell.TCP4_THERE, Cell.TCP4_BACK, Cell.COST4)

    def _tcp(self, bed, running, streams, there, back, price):
        for cell in (there, back):
            before = cost.processor_seconds(running.daemons)
            transfer = iperf.tcp(bed, streams, self.seconds, backwards=cell is back)
            spent = cost.processor_seconds(running.daemons) - before
            self._add(cell, transfer.gigabits)
            self._add(price, spent / (transfer.bytes / 1e9))

    def _loaded(self, bed, _):
        with iperf.client(bed, self.seconds + 2, "-P", 1, "-C", "cubic") as load:
            time.sleep(0.7)
            trips = echo.ping(bed, count=int(self.seconds * 15), interval=0.05)
            assert load.poll() is None, "the load ended before the pings"
        self._add(Cell.LOADED, trips.median)
        self._add(Cell.LOADED_P95, trips.p95)

    def _udp(self, bed, _):
        for _ in range(UDP_ROUNDS):
            self._add(Cell.UDP, iperf.udp(bed, UDP_SIZE, max(1, self.seconds * 2 / 3)) / 1000)

    def _add(self, cell, value):
        self.samples.setdefault(cell, []).append(value)

    def _fail(self, cell, why):
        self.failures[cell] = " ".join(str(why).split())

    @contextlib.contextmanager
    def _failing(self, cells):
        try:
            yield
        except _FAILURES as error:
            for cell in cells:
                self._fail(cell, error)
