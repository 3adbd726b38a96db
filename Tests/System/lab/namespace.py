"""One network namespace: run a command in it, open a socket in it, ask for what stands in it."""

import ctypes
import os
import socket
import subprocess
import threading

from . import watchdog
from .waiting import wait_until

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A namespace of this process, named `gw<pid>-<suffix>`; gone when the block ends."""

    def __init__(self, suffix):
        self.name = watchdog.mark() + suffix

    def __enter__(self):
        watchdog.start()
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip", "link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        watchdog.end_processes([self.name])
        subprocess.run(["ip", "netns", "delete", self.name], check=False)

    def command(self, *argv):
        """The command line that runs `argv` inside; `ip` becomes it, so its process id is the program's."""
        return ["ip", "netns", "exec", self.name, *map(str, argv)]

    def run(self, *argv, check=True, timeout=60, **options):
        """Runs a command to its end and returns what it said."""
        done = subprocess.run(
            self.command(*argv), capture_output=True, text=True, timeout=timeout, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, argv))}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def sysctl(self, **values):
        """Sets `net.` variables; two underscores stand for a dot: `ipv4__ip_forward=1`."""
        settings = [f"net.{key.replace('__', '.')}={value}" for key, value in values.items()]
        self.run("sysctl", "-qw", *settings)

    def socket(self, family, kind, protocol=0):
        """A socket that lives inside, to be used from here: a socket stays where it was made."""
        made = []

        def make():
            try:
                self._enter_with_this_thread()
                made.append(socket.socket(family, kind, protocol))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def _enter_with_this_thread(self):
        descriptor = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"cannot enter {self.name}")
        finally:
            os.close(descriptor)

    def wait_for_link_local(self, *interfaces):
        """Waits until the kernel has given these their own IPv6 addresses, which it does some time after they are up."""

        def given():
            lines = self.run("ip", "-6", "-oneline", "address", "show", "scope", "link").stdout.splitlines()
            return {line.split()[1] for line in lines if "tentative" not in line} >= set(interfaces)

        wait_until(given, f"{' and '.join(interfaces)} in {self.name} have addresses of their own")

    def state(self):
        """What a daemon could leave behind here: interfaces, addresses, routes, rules, UDP sockets."""
        questions = {
            "addresses": ("ip", "-oneline", "address"),
            "routes": ("ip", "-oneline", "-4", "route", "show", "table", "all"),
            "routes of IPv6": ("ip", "-oneline", "-6", "route", "show", "table", "all"),
            "rules": ("ip", "rule"),
            "rules of IPv6": ("ip", "-6", "rule"),
            "UDP sockets": ("ss", "-Hnua"),
        }
        return {what: self.run(*question).stdout.splitlines() for what, question in questions.items()}
