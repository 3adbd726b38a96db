"""OpenVPN between two points, over UDP, in user space, with the cipher that WireGuard has."""

from bed import TUNNEL_MTU
from lab import wait_until

from .tunnel import Running, has_device, start_daemons

_CONFIG = """
dev {name}
dev-type tun
proto udp4
local {local}
remote {remote}
{role}
cert {folder}/cert.pem
key {folder}/key.pem
peer-fingerprint {fingerprint}
dh none
data-ciphers CHACHA20-POLY1305
disable-dco
ifconfig {inner} {other}
tun-mtu {mtu}
mssfix 0
verb 1
{more}
"""


def compressing(*lines):
    """Starts it with these lines, which say how to compress."""
    return lambda bed, stack: start(bed, stack, "\n".join(["allow-compression yes", *lines]))


def start(bed, stack, more=""):
    fingerprints = {end.letter: _make_certificate(bed, end) for end in bed.ends}

    def argv(end):
        other = bed.other(end)
        file = bed.folder(end) / "openvpn.conf"
        file.write_text(_CONFIG.format(
            name=end.name, local=end.outer, remote=other.outer, folder=file.parent,
            role="tls-server" if end is bed.a else "tls-client", fingerprint=fingerprints[other.letter],
            inner=end.tunnel_address, other=other.tunnel_address, mtu=TUNNEL_MTU, more=more))
        return ["openvpn", "--config", file]

    daemons = start_daemons(bed, stack, argv)
    for end in bed.ends:
        wait_until(lambda: has_device(end), "openvpn makes its interface")
    return Running(daemons)


def _make_certificate(bed, end):
    folder, run = bed.folder(end), end.gateway.run
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2,
        "-subj", f"/CN={end.letter}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem")
    answer = run("openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", folder / "cert.pem")
    return answer.stdout.strip().partition("=")[2]
