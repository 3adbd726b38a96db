"""Leaves nothing behind: sweeps what a process made, also when that process was killed.

The watchdog is this file run as a program. It holds the read end of a pipe and does nothing until its
parent has gone, in whatever way; then it sweeps everything that carries the parent's mark.
"""

import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

_watchdog = None


def mark():
    """What the name of everything made by this process begins with."""
    return f"gw{os.getpid()}-"


def start():
    """Starts the watchdog of this process, once."""
    global _watchdog
    if _watchdog is None:
        _watchdog = subprocess.Popen(
            [sys.executable, __file__, mark()], stdin=subprocess.PIPE, start_new_session=True)


def sweep(prefix):
    """Ends the processes in, and removes, every namespace of that prefix; then its files."""
    names = [line.split()[0] for line in _ip("netns", "list").splitlines()]
    namespaces = [name for name in names if name.startswith(prefix)]
    end_processes(namespaces)
    for name in namespaces:
        _ip("netns", "delete", name)
    for socket in glob.glob(f"/var/run/wireguard/{prefix}*.sock"):
        os.unlink(socket)
    for place in (tempfile.gettempdir(), "/etc/netns"):
        for directory in glob.glob(os.path.join(place, prefix + "*")):
            shutil.rmtree(directory, ignore_errors=True)


def end_processes(namespaces):
    """Ends whatever still runs in these namespaces: first asks, then insists."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(20):
            ids = [int(id) for name in namespaces for id in _ip("netns", "pids", name).split()]
            if not ids:
                return
            for id in ids:
                try:
                    os.kill(id, number)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)


def _ip(*arguments):
    return subprocess.run(
        ["ip", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


if __name__ == "__main__":
    sys.stdin.buffer.read()
    sweep(sys.argv[1])
