"""fastd as a layer 3 tunnel, with the method its manual recommends for speed."""

from bed import TUNNEL_MTU
from lab import wait_until

from .tunnel import Running, has_device, start_daemons

_CONFIG = """
log level warn;
mode tun;
interface "{name}";
method "salsa2012+umac";
secret "{secret}";
bind {outer}:10000;
mtu {mtu};
peer "other" {{
    key "{key}";
    remote {remote}:10000;
}}
"""


def start(bed, stack):
    keys = {end.letter: _make_keys(end) for end in bed.ends}

    def argv(end):
        other = bed.other(end)
        file = bed.folder(end) / "fastd.conf"
        file.write_text(_CONFIG.format(
            name=end.name, secret=keys[end.letter]["Secret"], key=keys[other.letter]["Public"],
            outer=end.outer, remote=other.outer, mtu=TUNNEL_MTU))
        file.chmod(0o600)
        return ["fastd", "--config", file]

    daemons = start_daemons(bed, stack, argv)
    for end in bed.ends:
        wait_until(lambda: has_device(end), "fastd makes its interface")
        bed.configure(end)
    return Running(daemons)


def _make_keys(end):
    lines = end.gateway.run("fastd", "--generate-key").stdout.splitlines()
    return {kind: key for kind, key in (line.split(": ") for line in lines if ": " in line)}
