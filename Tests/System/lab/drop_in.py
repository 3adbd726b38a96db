"""An interface made as wireguard-go makes one: `gateway NAME`, configured by the real `wg`."""

import os
import re
import socket
import subprocess
import tempfile

from . import watchdog
from .gateway import GATEWAY
from .waiting import wait_until

DIRECTORY = "/var/run/wireguard"


class DropIn:
    """The interface `name` of a daemon in `namespace`; gone, with the daemon, when the block ends.

    program: `wireguard-go` to have the reference instead. The name begins with this process's mark.
    """

    def __init__(self, namespace, name, program=GATEWAY, **environment):
        self.namespace, self.name, self.program = namespace, watchdog.mark() + name, program
        self.environment = {
            # Swept by the watchdog.
            **os.environ, "GATEWAY_RUN_DIR": f"{tempfile.gettempdir()}/{watchdog.mark()}run", **environment}
        self.path = f"{DIRECTORY}/{self.name}.sock"
        assert len(self.name) <= 15

    def start(self, timeout=10):
        """Runs the command to its end: the daemon is in the background then."""
        done = subprocess.run(
            self.namespace.command(self.program, self.name), env=self.environment, timeout=timeout,
            capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{self.program} {self.name}: {done.stderr}"
        if self.program != GATEWAY:
            # The reference returns before it is ready.
            wait_until(self._is_there, f"{self.program} makes {self.name}")
        return self

    def _is_there(self):
        link = self.namespace.run("ip", "link", "show", self.name, check=False)
        return link.returncode == 0 and os.path.exists(self.path)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        for process in self.processes():
            os.kill(process, 15)
        wait_until(lambda: not self.processes(), f"the daemon of {self.name} ends")

    def processes(self):
        """The process ids of the daemon."""
        found = []
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{process}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")[:-1]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if len(words) == 2 and words[0].endswith((b"/gateway", b"wireguard-go")) and words[1] == self.name.encode():
                found.append(int(process))
        return found

    def resident(self):
        """Resident memory of the daemon in bytes."""
        (process,) = self.processes()
        with open(f"/proc/{process}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) * 1024

    def is_gone(self):
        return not os.path.exists(self.path) and not self.processes()

    def wg(self, command, *arguments, text=None, check=True, timeout=60):
        """`wg show NAME …`, `wg set NAME …`: from any namespace, since the socket is a file."""
        done = subprocess.run(
            ["wg", command, self.name, *map(str, arguments)], input=text, capture_output=True, text=True,
            timeout=timeout)
        assert not check or done.returncode == 0, f"wg {command}: {done.stderr}"
        return done.stdout + done.stderr if not check else done.stdout

    def connect(self, timeout=10):
        """A connection to the UAPI socket."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(self.path)
        return connection

    def ask(self, request, end=True):
        """Sends bytes, says that there are no more unless `end` is False, and returns all that is answered."""
        with self.connect() as connection:
            connection.sendall(request if isinstance(request, bytes) else request.encode())
            if end:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(1 << 20):
                answer += chunk
                if not end and answer.endswith(b"\n\n"):
                    break
            return answer.decode()
