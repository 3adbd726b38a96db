"""A process that runs in the background of a test, with its log."""

import contextlib
import os
import signal
import subprocess

running = []
"""The daemons of the current test: their logs are shown when it fails."""


class Daemon:
    """Started with `start`, ended with `stop` or at the end of the block."""

    def __init__(self, namespace, log, argv, environment=None):
        self.namespace, self.log_file, self.argv = namespace, log, argv
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        log.unlink(missing_ok=True)

    def start(self):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                self.namespace.command(*self.argv), env=self.environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        running.append(self)
        return self

    def stop(self, number=signal.SIGTERM, timeout=10):
        """Sends the signal, waits for the end and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.argv[0]} did not end {timeout} s after {number.name}") from None

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, kind, *_):
        # After a failure the failure is the news, not what stopping says.
        with contextlib.suppress(*([AssertionError] if kind else [])):
            if self.process.poll() is None:
                self.stop()

    def __str__(self):
        return f"{self.argv[0]} in {self.namespace.name}"

    @property
    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def check_alive(self):
        code = self.process.poll()
        assert code is None, f"{self.argv[0]} ended by itself with {code}; its last words: {self._last_words}"

    @property
    def _last_words(self):
        return (self.log.strip().splitlines() or ["none"])[-1]

    @property
    def resident(self):
        """Resident memory in bytes."""
        return self._memory("VmRSS")

    @property
    def anonymous(self):
        """What of it is no file's."""
        return self._memory("RssAnon")

    @property
    def peak(self):
        """The most that was ever resident."""
        return self._memory("VmHWM")

    def _memory(self, what):
        with open(f"/proc/{self.process.pid}/status") as status:
            line = next(line for line in status if line.startswith(what))
        return int(line.split()[1]) * 1024
