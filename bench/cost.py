"""What daemons cost: processor time and memory, threads included."""

import contextlib
import os

_TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(daemons):
    """User and system time of all of them so far, and of their children."""
    return sum(_ticks(process) for daemon in daemons for process in _family(daemon.process.pid)) / _TICKS


def peak_megabytes(daemons):
    """The most resident memory that any one of them ever had."""
    return max(_peak_kilobytes(daemon.process.pid) for daemon in daemons) / 1024


def _family(process):
    """The process, its children, theirs, and so on."""
    parents = {}
    for other in filter(str.isdigit, os.listdir("/proc")):
        # It may have ended since.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parents.setdefault(int(_stat(other)[1]), []).append(int(other))
    family = [process]
    for one in family:
        family += parents.get(one, [])
    return family


def _ticks(pid):
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12])


def _stat(pid):
    """The fields from the state on."""
    with open(f"/proc/{pid}/stat") as file:
        # The name before them may hold anything, a parenthesis too.
        return file.read().rpartition(")")[2].split()


def _peak_kilobytes(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1])
