"""Our daemon on one side of the lab, and gatewayctl beside it."""

import http.client
import json
import os
import socket
import subprocess
from pathlib import Path

from .daemon import Daemon
from .site import PORT
from .waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[3]
GATEWAY = Path(os.environ.get("GATEWAY_BIN", REPOSITORY / ".build/release/gateway")).absolute()
GATEWAYCTL = GATEWAY.with_name("gatewayctl")


class Gateway(Daemon):
    """`gateway run` with a config file at a site of the lab. It has a run directory of its own."""

    def __init__(self, lab, site, config):
        assert GATEWAY.exists(), f"{GATEWAY} is not built: `swift build -c release`, or set GATEWAY_BIN"
        self.site, self.config, self.name = site, Path(config), Path(config).stem
        self.run_directory = lab.directory / f"run-{site.letter}"
        self.run_directory.mkdir(exist_ok=True)
        self.control = self.run_directory / f"{self.name}.sock"
        super().__init__(
            site.gateway, lab.directory / f"{self.name}.log", [GATEWAY, "run", "--config", self.config],
            {"GATEWAY_RUN_DIR": str(self.run_directory)})

    def start(self):
        super().start()
        wait_until(self._ready, f"{self.name} makes its interface and answers on {self.control}")
        return self

    def stats(self):
        """The answer of `GET /v1/stats`."""
        status, body = self.request("GET", "/v1/stats")
        assert status == 200, f"GET /v1/stats: {status} {body[:200]}"
        return json.loads(body)

    def peer(self):
        """The statistics of the only peer."""
        (peer,) = self.stats()["peers"]
        return peer

    def request(self, method, path, body=None):
        connection = _UnixConnection(self.control)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def has_handshake(self):
        return bool(self.peer()["latestHandshake"])

    def ctl(self, *arguments, check=True):
        """Runs gatewayctl against this daemon alone."""
        return gatewayctl(*arguments, check=check, run_directory=self.run_directory)

    def _ready(self):
        self.check_alive()
        try:
            self.stats()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return self.namespace.run("ip", "link", "show", self.name, "up", check=False).stdout != ""


def gatewayctl(*arguments, check=True, run_directory=None, directory=None):
    """Runs gatewayctl to its end and returns what it said."""
    environment = {**os.environ, **({"GATEWAY_RUN_DIR": str(run_directory)} if run_directory else {})}
    done = subprocess.run(
        [GATEWAYCTL, *map(str, arguments)], capture_output=True, text=True, timeout=30, env=environment, cwd=directory)
    assert not check or done.returncode == 0, (
        f"gatewayctl {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr.strip()}")
    return done


def config(lab, site, *, compression=None, preshared=None, endpoint=True, interface=(), peer=()):
    """The text of a site's config file. Without `compression` it is a stock WireGuard file.

    endpoint: False leaves the peer's endpoint out, so that this side can only answer.
    interface, peer: further lines for these sections.
    """
    other = lab.other(site)
    lines = [
        "[Interface]", f"PrivateKey = {site.keys.private}", f"ListenPort = {PORT}",
        f"Address = {site.tunnel_address}/32", *interface, "",
        "[Peer]", f"PublicKey = {other.keys.public}", f"AllowedIPs = {', '.join(_usable(lab, other.allowed_ips))}",
        *([f"Endpoint = {other.endpoint}"] if endpoint else []),
        *([f"PresharedKey = {preshared}"] if preshared else []),
        *([f"#: Compression = {compression}"] if compression else []), *peer,
    ]
    return "\n".join(lines) + "\n"


def write_config(lab, site, text=None, **options):
    """Writes a site's config file, readable by its owner alone, and returns its path."""
    path = lab.directory / f"{site.name}.conf"
    path.write_text(config(lab, site, **options) if text is None else text)
    path.chmod(0o600)
    return path


def gateway(lab, site, **options):
    """Our daemon at that site, with a config file made from `options` of `config`; not yet started."""
    return Gateway(lab, site, write_config(lab, site, **options))


def _usable(lab, prefixes):
    return [prefix for prefix in prefixes if lab.ipv6 or ":" not in prefix]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=5)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
