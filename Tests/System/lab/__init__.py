"""The laboratory of the system tests: namespaces, daemons, traffic and a recorder of the wire.

`Lab` builds host A - gateway A - gateway B - host B. `Gateway` and `WireGuardGo` are the two kinds of
daemon that can stand on either side. Everything made here carries this process's id in its name and is
swept away at the end, by this process or, if it is killed, by its watchdog.
"""

from . import watchdog
from .daemon import Daemon
from .drop_in import DropIn
from .gateway import Gateway
from .impaired import Link
from .namespace import Namespace
from .link import all_drops, link, wait_until_path_known, wait_until_up
from .recorder import Recorder
from .site import Keys, Site
from .three import Three
from .topology import Lab
from .waiting import wait_until
from .wireguard_go import WireGuardGo

__all__ = [
    "Daemon", "DropIn", "Gateway", "Keys", "Lab", "Link", "Namespace", "Recorder", "Site", "Three",
    "WireGuardGo", "all_drops", "link", "wait_until", "wait_until_path_known", "wait_until_up", "watchdog",
]
