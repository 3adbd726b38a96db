"""A router on the wire between the gateways, whose far side takes less than 1500 bytes, and what it keeps to itself."""

from .namespace import Namespace

_SIDES = {4: ("198.51.100.1", "198.51.100.2", 32), 6: ("2001:db8:1::1", "2001:db8:1::2", 128)}


class Router:
    """gateway a - router - gateway b. `narrow` says what it forwards; what is larger is told by ICMP, or cut if it may be."""

    def __init__(self, lab, suffix):
        self.lab, self.namespace = lab, Namespace(suffix)

    def __enter__(self):
        self.namespace.__enter__()
        lab, run = self.lab, self.namespace.run
        lab._prepare(self.namespace)
        self.mtu = 1500
        for site, own in zip(lab.sites, _SIDES[lab.outer]):
            other = lab.other(site)
            length = _SIDES[lab.outer][2]
            run("ip", "link", "add", self._to(site), "mtu", lab.wire_mtu, "type", "veth",
                "peer", "name", "wan", "mtu", lab.wire_mtu, "netns", site.gateway.name)
            lab._address(self.namespace, self._to(site), own, length)
            lab._address(site.gateway, "wan", site.outer, length)
            run("ip", "route", "add", site.outer, "dev", self._to(site))
            site.gateway.run("ip", "route", "add", own, "dev", "wan")
            site.gateway.run("ip", "route", "add", other.outer, "via", own, "dev", "wan")
        run("nft", "-f", "-", input=_RULES)
        return self

    def __exit__(self, *_):
        self.namespace.__exit__(*_)

    def narrow(self, mtu):
        """Forwards packets of so many bytes from now on."""
        for site in self.lab.sites:
            # Locked, so that what it learns itself does not matter.
            self.namespace.run("ip", "route", "replace", site.outer, "dev", self._to(site), "mtu", "lock", mtu)

    def drop(self, icmp=False, fragments=False):
        """Tells nobody of what is too large; lets no fragment pass."""
        rules = ["flush chain inet lab said", "flush chain inet lab passed"]
        if icmp:
            rules += ["add rule inet lab said icmp type destination-unreachable drop",
                      "add rule inet lab said icmpv6 type packet-too-big drop"]
        if fragments:
            rules += ["add rule inet lab passed ip frag-off & 0x3fff != 0 drop",
                      "add rule inet lab passed exthdr frag exists drop"]
        self.namespace.run("nft", "-f", "-", input="\n".join(rules) + "\n")

    @staticmethod
    def _to(site):
        return f"to-{site.letter}"


_RULES = """
add table inet lab
add chain inet lab said { type filter hook output priority 0; }
add chain inet lab passed { type filter hook postrouting priority 0; }
"""
