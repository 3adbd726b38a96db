"""What it was measured on, and what else the machine did meanwhile."""

import platform
import shutil
import subprocess
import time

QUIET = 0.1
"""Up to this share of the processors, other work is taken for none."""


def describe():
    return {
        "processor": _first("/proc/cpuinfo", "model name"), "cores": _count("/proc/cpuinfo", "processor"),
        "memory": _first("/proc/meminfo", "MemTotal"), "kernel": platform.release(),
        "hypervisor": _says("systemd-detect-virt", "--vm"),
        "system": _first("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
    }


def versions(programs):
    """Debian's version of each program that comes from a package."""
    answer = {}
    for program in programs:
        path = shutil.which(program)
        package = _says("dpkg-query", "--search", path).partition(":")[0] if path else ""
        if package:
            answer[program] = _says("dpkg-query", "-W", "-f", "${Version}", package)
    return answer


def load_average():
    with open("/proc/loadavg") as file:
        return [float(number) for number in file.read().split()[:3]]


def others(seconds=0.5):
    """The share of the processors, 0 to 1, that is taken while nothing of ours runs."""
    before = _ticks()
    time.sleep(seconds)
    spent = [after - earlier for after, earlier in zip(_ticks(), before)]
    return 1 - (spent[3] + spent[4]) / max(1, sum(spent))


def wait_until_quiet(patience):
    """Waits so many seconds at most, and returns what `others` said last."""
    deadline = time.monotonic() + patience
    while (share := others()) > QUIET and time.monotonic() < deadline:
        time.sleep(0.5)
    return share


class Stolen:
    """The share of the processors' time that the hypervisor gave to others, since this was made."""

    def __init__(self):
        self._before = _ticks()

    def share(self):
        spent = [after - earlier for after, earlier in zip(_ticks(), self._before)]
        return spent[7] / max(1, sum(spent))


def _ticks():
    """user nice system idle iowait irq softirq steal"""
    with open("/proc/stat") as file:
        return [int(number) for number in file.readline().split()[1:9]]


def _first(path, key, separator=":"):
    with open(path) as file:
        return next((line.partition(separator)[2].strip() for line in file if line.startswith(key)), "unknown")


def _count(path, key):
    with open(path) as file:
        return sum(line.startswith(key) for line in file)


def _says(*argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
