"""fastd as a layer 3 tunnel, with the method its manual recommends for speed."""

from bed import TUNNEL_MTU
from lab import wait_until

from .tunnel import Running, has_device, start_daemon

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
    {remote}
}}
"""


def start(bed, stack):
    keys = {end.letter: _make_keys(end) for end in bed.ends}

    def argv(end):
        other = bed.other(end)
        file = bed.folder(end) / "fastd.conf"
        file.write_text(_CONFIG.format(
            name=end.name, secret=keys[end.letter]["Secret"], key=keys[other.letter]["Public"],
            outer=end.outer, mtu=TUNNEL_MTU,
            remote=f"remote {other.outer}:10000;" if end is bed.a else ""))
        file.chmod(0o600)
        return ["fastd", "--config", file]

    # Only one end begins, and not before the other listens: when both shake hands at once, they may end with sessions that
    # don't match, and a first message that is lost is sent again only after many seconds.
    daemons = []
    for end in (bed.b, bed.a):
        daemons.append(start_daemon(bed, end, stack, argv(end)))
        wait_until(lambda: has_device(end), "fastd makes its interface")
        bed.configure(end)
    return Running(daemons)


def _make_keys(end):
    lines = end.gateway.run("fastd", "--generate-key").stdout.splitlines()
    return {kind: key for kind, key in (line.split(": ") for line in lines if ": " in line)}
