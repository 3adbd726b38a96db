"""Where everything is measured: two namespaces, a wire between them, and a tunnel from one to the other.

    a  wan 192.0.2.1 ============ wan 192.0.2.2  b        veth, MTU 1500
       tun 10.9.0.1  ------------ tun 10.9.0.2            the tunnel, MTU 1420
"""

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tests/System"))

from lab import Namespace, Site, watchdog  # noqa: E402

TUNNEL_MTU = 1420


class Ends:
    """What a tunnel needs to know of the place it is started in, beside its two sites `a` and `b`."""

    mtu = TUNNEL_MTU

    @property
    def ends(self):
        return self.a, self.b

    def folder(self, end):
        """A folder of its own for the daemon at that end."""
        folder = self.directory / end.letter
        folder.mkdir(exist_ok=True)
        return folder

    def configure(self, end):
        """Gives a tunnel device its address and MTU, for daemons that don't."""
        run = end.gateway.run
        run("ip", "address", "replace", f"{end.tunnel_address}/24", "dev", end.name)
        run("ip", "link", "set", end.name, "mtu", self.mtu, "up")

    def carries(self):
        """Whether a packet that fills the tunnel comes back."""
        return self.a.gateway.run("ping", "-q", "-n", "-c", 1, "-W", 1, "-M", "do", "-s", self.mtu - 28,
                                  self.b.tunnel_address, check=False).returncode == 0


class Bed(Ends):
    """The two ends; gone, with all that runs in them, when the block ends or this process dies.

    To the daemons of the laboratory it is a `Lab` whose hosts are their own gateways.
    """

    ipv6 = False

    def __enter__(self):
        watchdog.start()
        with contextlib.ExitStack() as stack:
            self.directory = Path(tempfile.mkdtemp(prefix=watchdog.mark()))
            stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            self.a, self.b = (self._site(stack, letter, number) for letter, number in (("a", 1), ("b", 2)))
            self._build_wire()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def other(self, end):
        return self.b if end is self.a else self.a

    def _site(self, stack, letter, number):
        namespace = stack.enter_context(Namespace(letter))
        namespace.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
        return Site(letter, watchdog.mark() + letter, namespace, namespace, f"192.0.2.{number}")

    def _build_wire(self):
        a, b = self.a.gateway, self.b.gateway
        a.run("ip", "link", "add", "wan", "type", "veth", "peer", "name", "wan", "netns", b.name)
        for end in self.ends:
            end.gateway.run("ip", "address", "add", f"{end.outer}/30", "dev", "wan")
            end.gateway.run("ip", "link", "set", "wan", "up")
