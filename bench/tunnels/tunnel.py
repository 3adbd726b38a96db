"""One kind of tunnel."""

from typing import Callable, NamedTuple, Sequence

from lab import Daemon


class Tunnel(NamedTuple):
    name: str
    """What the command line and the JSON call it."""
    label: str
    program: str
    start: Callable[..., "Running"]
    """`start(bed, stack)`: the daemons at both ends; `stack` stops them."""


class Running(NamedTuple):
    daemons: Sequence[Daemon]
    check: Callable[[], None] = lambda: None
    """Fails if the tunnel is not what its label says."""

    def check_alive(self):
        for daemon in self.daemons:
            daemon.check_alive()
        self.check()


def start_daemon(bed, end, stack, argv):
    """Starts a program at that end, logging into the end's folder."""
    return stack.enter_context(Daemon(end.gateway, bed.folder(end) / "log", argv))


def start_daemons(bed, stack, argv):
    """Starts `argv(end)` at each end."""
    return [start_daemon(bed, end, stack, argv(end)) for end in bed.ends]


def has_device(end):
    return end.gateway.run("ip", "link", "show", end.name, check=False).returncode == 0
