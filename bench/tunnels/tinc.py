"""tinc 1.0 as it comes: AES-256-CBC and HMAC-SHA-256."""

import time

from lab import wait_until

from .tunnel import Running, has_device, start_daemons

_CONFIG = """
Name = {letter}
Interface = {name}
DeviceType = tun
AddressFamily = ipv4
{connect}
"""

_HOST = """
Address = {outer}
Subnet = {inner}/32
Subnet = {network}
Compression = {compression}
"""

_LEARNING_THE_MTU = 4
"""Seconds: until it knows the path's MTU, tinc sends large packets over TCP."""

_COMPRESSED_MTU = 1380
"""It looks for the path's MTU with random bytes, which grow when compressed: packets above what it finds go over TCP."""


def compressing(level):
    """Starts it with that level: 1 is zlib's first, 10 is LZO."""
    def start_it(bed, stack):
        bed.mtu = _COMPRESSED_MTU
        return start(bed, stack, level)

    return start_it


def start(bed, stack, compression=0):
    folders = {end.letter: _write(bed, end, compression) for end in bed.ends}
    for letter, folder in folders.items():
        for other in folders.values():
            if other is not folder:
                (other / "hosts" / letter).write_text((folder / "hosts" / letter).read_text())
    daemons = start_daemons(bed, stack, lambda end: [
        "tincd", "-c", folders[end.letter], "--pidfile", folders[end.letter] / "pid", "-D", "-d0"])
    for end in bed.ends:
        wait_until(lambda: has_device(end), "tincd makes its interface")
        bed.configure(end)
    wait_until(bed.carries, "the first ping comes back")
    time.sleep(_LEARNING_THE_MTU)
    return Running(daemons)


def _write(bed, end, compression):
    folder = bed.folder(end) / "tinc"
    (folder / "hosts").mkdir(parents=True)
    (folder / "tinc.conf").write_text(_CONFIG.format(
        letter=end.letter, name=end.name, connect=f"ConnectTo = {bed.other(end).letter}" if end is bed.a else ""))
    (folder / "hosts" / end.letter).write_text(_HOST.format(
        outer=end.outer, inner=end.tunnel_address, network=end.networks[0], compression=compression))
    end.gateway.run("tincd", "-c", folder, "-K", input="\n\n")
    return folder
