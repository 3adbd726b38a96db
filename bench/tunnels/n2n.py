"""n2n 1.3: two edges, and the supernode that they meet at beside the second.

It compresses with LZO what it has encrypted: a packet of 1242 zeros becomes 1251 bytes. Version 3 has -z1 and -z2.
"""

import secrets

from lab import wait_until

from .tunnel import Running, has_device, start_daemon

_PORT = 7654
_MTU = 1380
"""It carries Ethernet frames, and puts a longer header before them."""


def start(bed, stack):
    bed.mtu, key = _MTU, secrets.token_hex(8)
    daemons = [start_daemon(bed, bed.b, stack, ["supernode", "-l", _PORT])]
    for end in bed.ends:
        daemons.append(start_daemon(bed, end, stack, [
            "edge", "-d", end.name, "-a", end.tunnel_address, "-c", "bench", "-k", key, "-s", "255.255.255.0",
            "-l", f"{bed.b.outer}:{_PORT}", "-M", _MTU, "-r", "-u", 0, "-g", 0]))
    for end in bed.ends:
        wait_until(lambda: has_device(end), "edge makes its interface")
        bed.configure(end)
    return Running(daemons)
