"""What daemons cost: processor time and memory, threads included."""

import os

_TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(daemons):
    """User and system time of all of them so far."""
    return sum(_ticks(daemon.process.pid) for daemon in daemons) / _TICKS


def peak_megabytes(daemons):
    """The most resident memory that any one of them ever had."""
    return max(_peak_kilobytes(daemon.process.pid) for daemon in daemons) / 1024


def _ticks(pid):
    with open(f"/proc/{pid}/stat") as file:
        # The name before it may hold anything, a parenthesis too.
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _peak_kilobytes(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1])
