"""nebula as it comes: AES-256-GCM. One end is the lighthouse, as one has to be."""

import json

from bed import TUNNEL_MTU
from lab import wait_until

from .tunnel import Running, has_device, start_daemons

_PORT = 4242


def start(bed, stack):
    make = bed.a.gateway.run
    authority = bed.directory / "ca"
    make("nebula-cert", "ca", "-name", "bench", "-out-crt", f"{authority}.crt", "-out-key", f"{authority}.key")

    def argv(end):
        folder = bed.folder(end)
        make("nebula-cert", "sign", "-ca-crt", f"{authority}.crt", "-ca-key", f"{authority}.key", "-name", end.letter,
             "-ip", f"{end.tunnel_address}/24", "-out-crt", folder / "own.crt", "-out-key", folder / "own.key")
        (folder / "nebula.yml").write_text(json.dumps(_config(bed, end, f"{authority}.crt", folder)))
        return ["nebula", "-config", folder / "nebula.yml"]

    daemons = start_daemons(bed, stack, argv)
    for end in bed.ends:
        wait_until(lambda: has_device(end), "nebula makes its interface")
    return Running(daemons)


def _config(bed, end, authority, folder):
    """JSON is YAML too."""
    lighthouse, is_lighthouse = bed.a, end is bed.a
    everything = [{"port": "any", "proto": "any", "host": "any"}]
    return {
        "pki": {"ca": authority, "cert": str(folder / "own.crt"), "key": str(folder / "own.key")},
        "static_host_map": {} if is_lighthouse else {
            lighthouse.tunnel_address: [f"{lighthouse.outer}:{_PORT}"]},
        "lighthouse": {"am_lighthouse": is_lighthouse, "interval": 1,
                       "hosts": [] if is_lighthouse else [lighthouse.tunnel_address]},
        "listen": {"host": "0.0.0.0", "port": _PORT},
        "tun": {"dev": end.name, "mtu": TUNNEL_MTU},
        "logging": {"level": "error", "format": "text"},
        "firewall": {"outbound": everything, "inbound": everything},
    }
