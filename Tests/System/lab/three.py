"""The topology of WireGuard's own tests: two daemons in one namespace, their interfaces in two others.

    namespace one          namespace zero           namespace two
    10.9.0.1, fd09::1 ─── port 10000 ═ lo ═ port 20000 ─── 10.9.0.2, fd09::2
"""

import contextlib

from .drop_in import DropIn
from .namespace import Namespace
from .site import Keys, preshared_key
from .waiting import wait_until

PORTS = (10000, 20000)


class Three:
    """programs: what runs the two ends. moved: False leaves daemon and interface in the outer namespaces together."""

    def __init__(self, programs=(None, None), moved=True):
        self.programs, self.moved = programs, moved

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.zero, self.one, self.two = (stack.enter_context(Namespace(name)) for name in ("zero", "one", "two"))
            for namespace in (self.zero, self.one, self.two):
                namespace.sysctl(ipv6__conf__default__accept_dad=0, ipv6__conf__all__accept_dad=0)
            self.keys, self.secret = (Keys(), Keys()), preshared_key()
            self.ends = []
            for number, outer in enumerate((self.one, self.two)):
                options = {"program": self.programs[number]} if self.programs[number] else {}
                end = DropIn(self.zero if self.moved else outer, f"w{number + 1}", **options)
                self.ends.append(stack.enter_context(end))
                if self.moved:
                    self.zero.run("ip", "link", "set", end.name, "netns", outer.name)
                self.configure(number, end, outer)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def configure(self, number, end, outer):
        inner = [f"10.9.0.{2 - number}/32", f"fd09::{2 - number}/128"]
        outer.run("ip", "address", "add", f"10.9.0.{number + 1}/24", "dev", end.name)
        outer.run("ip", "address", "add", f"fd09::{number + 1}/64", "dev", end.name)
        end.wg("set", "listen-port", PORTS[number], "private-key", "/dev/stdin", text=self.keys[number].private)
        end.wg("set", "peer", self.keys[1 - number].public, "preshared-key", "/dev/stdin",
               "allowed-ips", ",".join(inner), text=self.secret)
        outer.run("ip", "link", "set", end.name, "up")

    def point(self, number, endpoint):
        """Tells one end where the other is."""
        self.ends[number].wg("set", "peer", self.keys[1 - number].public, "endpoint", endpoint)

    def endpoint(self, number):
        """Where one end believes the other to be."""
        return self.ends[number].wg("show", "endpoints").split("\t")[1].strip()

    def ping(self, number, *options, v6=False, check=True):
        """Pings the other end's inner address once."""
        outer = (self.one, self.two)[number]
        address = f"fd09::{2 - number}" if v6 else f"10.9.0.{2 - number}"
        done = outer.run("ping", "-n", "-W", "1", *(options or ("-c", "1")), address, check=False)
        assert not check or done.returncode == 0, f"no answer from {address}:\n{done.stdout}"
        return done.returncode == 0

    def wait_until_up(self, number=0):
        wait_until(lambda: self.ping(number, check=False), "a ping comes back", timeout=15)
