"""A daemon that is expected to refuse: what it says, its exit code, and what it leaves behind."""

import glob
import os
import subprocess
from typing import NamedTuple

from .gateway import GATEWAY


class Refusal(NamedTuple):
    code: int
    lines: list
    """What it said on stderr."""

    @property
    def line(self):
        assert len(self.lines) == 1, "one line was promised, it said:\n" + "\n".join(self.lines)
        return self.lines[0]


def gateway_command(namespace, command, config, run_directory, wrap=(), timeout=10):
    """Runs `gateway run` or `gateway check` to its end; a daemon that stays up has not refused."""
    argv = namespace.command(*wrap, GATEWAY, command, "--config", config)
    environment = {**os.environ, "GATEWAY_RUN_DIR": str(run_directory)}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, env=environment,
                              stdin=subprocess.DEVNULL, start_new_session=True)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"still running after {timeout} s; it said: {late.stderr}") from None
    return Refusal(done.returncode, done.stderr.splitlines())


def refused(namespace, config, run_directory, **options):
    """What `gateway run` says when it refuses; fails if it leaves anything behind."""
    before = _remains(namespace, config, run_directory)
    answer = gateway_command(namespace, "run", config, run_directory, **options)
    after = _remains(namespace, config, run_directory)
    assert after == before, "something half-made was left behind"
    assert 64 <= answer.code <= 78, f"{answer.code} is not of sysexits; it said: {answer.lines}"
    return answer


def _remains(namespace, config, run_directory):
    return {**namespace.state(), "run directory": sorted(os.listdir(run_directory)),
            "UAPI sockets": glob.glob(f"/var/run/wireguard/{config.stem}*")}
