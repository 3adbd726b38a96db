"""vtun over UDP with AES-128-CBC, compressing all packets with one method.

Its zlib is one stream for the whole tunnel: the first datagram that is lost ends the session.
"""

import secrets

from lab import wait_until

from .tunnel import Running, has_device, start_daemon

_PORT = 5000
_CONFIG = """
options {{ port {port}; timeout 60; ip /sbin/ip; }}
{session} {{
    passwd {password};
    type tun;
    device {name};
    proto udp;
    compress {method};
    encrypt aes128cbc;
    keepalive no;
    stat no;
    persist no;
}}
"""


def compressing(method):
    """Starts it with `zlib:1` or `lzo:1`."""
    def start(bed, stack):
        password = secrets.token_hex(16)

        def argv(end, *role):
            file = bed.folder(end) / "vtund.conf"
            file.write_text(_CONFIG.format(port=_PORT, session=bed.a.name, password=password, name=end.name, method=method))
            file.chmod(0o600)
            return ["vtund", "-n", "-f", file, *role]

        server = start_daemon(bed, bed.b, stack, argv(bed.b, "-s"))
        wait_until(lambda: bed.b.gateway.run("ss", "-Hltn", f"sport = :{_PORT}").stdout, "vtund listens")
        client = start_daemon(bed, bed.a, stack, argv(bed.a, bed.a.name, bed.b.outer))
        for end in bed.ends:
            wait_until(lambda: has_device(end), "vtund makes its interface")
            bed.configure(end)
        return Running([client, server])

    return start
