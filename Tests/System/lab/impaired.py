"""A wire with faults: the process of Tests/link, a TAP in each of two namespaces.

What it does is asked for by name: `rate` in Mbit/s, `delay` in ms, `loss` in percent. All names and their units stand at
the head of Tests/link/link.c.
"""

import functools
import json
import math
import os
import selectors
import signal
import subprocess
import tempfile
from pathlib import Path

from . import watchdog

SOURCE = Path(__file__).resolve().parents[2] / "link/link.c"
TOLERANCE = 0.1
DEVICE = "wan"


class Link:
    """Two devices named `wan`, one in each namespace, and the process between them; gone when the block ends.

    faults: of both directions. there, back: dictionaries of what is different from a to b, and from b to a.
    """

    def __init__(self, a, b, seed=1, there=None, back=None, **faults):
        self.namespaces, self.seed = (a, b), seed
        self.faults = {"--both": faults, "--there": there or {}, "--back": back or {}}

    def __enter__(self):
        options = [word for option, faults in self.faults.items() if faults
                   for word in (option, ",".join(f"{name}={value}" for name, value in faults.items()))]
        ends = [f"/run/netns/{namespace.name}:{DEVICE}" for namespace in self.namespaces]
        self.process = subprocess.Popen(
            [program(), "--seed", str(self.seed), *options, *ends],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        if self.process.stdout.readline() != "ready\n":
            raise AssertionError(self.process.communicate()[1].strip())
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def change(self, direction="both", **faults):
        """Asks for something else from now on: `both`, `there` or `back`."""
        self.process.stdin.write(f"--{direction} {','.join(f'{name}={value}' for name, value in faults.items())}\n")
        self.process.stdin.flush()

    def report(self, timeout=5):
        """What was offered and done since the last report, by direction: `there` and `back`."""
        self.process.send_signal(signal.SIGUSR1)
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(timeout), f"the link made no report in {timeout} s"
        return {name: Report(said) for name, said in json.loads(self.process.stdout.readline()).items()}

    def processor_seconds(self):
        """User and system time of the process so far."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Report:
    """One direction. Counts such as `offered` and `lost` are dictionaries of frames and bytes."""

    def __init__(self, said):
        self.said = said

    def __getattr__(self, name):
        return self.said[name]

    def __repr__(self):
        return repr(self.said)

    @property
    def sent(self):
        """Frames and bytes that the sender's end of the wire took: what was offered and not dropped."""
        return {unit: self.offered[unit] - self.dropped[unit] for unit in ("frames", "bytes")}

    @property
    def is_saturated(self):
        return self.asked["rate"] > 0 and self.backlog["seconds"] > 0.2 * self.seconds

    def deviations(self):
        """What was more than a tenth off from what was asked for, in words.

        A loss may also be off by three standard deviations, and the median delay by 0.1 ms, in which a sleeping core wakes up.
        """
        asked, found = self.asked, []
        if self.is_saturated and abs(self.backlog["rate"] / asked["rate"] - 1) > TOLERANCE:
            found.append(f"a rate of {self.backlog['rate']:.2f} Mbit/s instead of {asked['rate']:g}")
        expected = asked["loss"] / 100 * self.sent["frames"]
        # A burst loses many at once: so many times fewer events.
        deviation = math.sqrt(expected * (1 - asked["loss"] / 100) * max(1, 2 * asked["burst"]))
        if abs(self.lost["frames"] - expected) > max(TOLERANCE * expected, 3 * deviation):
            found.append(f"{self.lost['frames']} of {self.sent['frames']} frames lost instead of {expected:.0f}")
        if self.delivered["frames"] and not asked["jitter"] and not asked["reorder"] and (
                abs(self.delay["p50"] - asked["delay"]) > max(TOLERANCE * asked["delay"], 0.1)):
            found.append(f"a delay of {self.delay['p50']:g} ms instead of {asked['delay']:g}")
        if asked["rate"] and self.missed > 0.01 * self.offered["frames"]:
            found.append(f"{self.missed} frames missed beside {self.offered['frames']}")
        return found


@functools.cache
def program():
    """The process, compiled once by each process that needs it."""
    watchdog.start()
    directory = tempfile.mkdtemp(prefix=watchdog.mark())
    made = f"{directory}/link"
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", SOURCE, "-o", made], check=True)
    return made
