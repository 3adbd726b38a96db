"""What is measured. A tunnel is a name, a program, and how to start it at both ends of a `Bed`."""

import os
import shutil

from . import fastd, n2n, nebula, openvpn, tinc, vtun, wireguard
from .tunnel import Running, Tunnel

REFERENCE = "wireguard-go"
"""The tunnel that the ratios are relative to."""

OURS = ("gateway", "gateway-aes")


def all_tunnels():
    """In the order of the table."""
    other = os.environ.get("WIREGUARD_GO")
    return [
        Tunnel("gateway", "gateway, ChaCha20-Poly1305", wireguard.GATEWAY, wireguard.gateway("chacha20poly1305")),
        Tunnel("gateway-aes", "gateway, AES-256-GCM", wireguard.GATEWAY, wireguard.gateway("aes256gcm")),
        Tunnel(REFERENCE, "wireguard-go of Debian", "wireguard-go", wireguard.wireguard_go("wireguard-go")),
        *([Tunnel("wireguard-go-2", "wireguard-go, the other", other, wireguard.wireguard_go(other))] if other else []),
        Tunnel("openvpn", "openvpn, ChaCha20-Poly1305", "openvpn", openvpn.start),
        Tunnel("tinc", "tinc", "tincd", tinc.start),
        Tunnel("nebula", "nebula, AES-256-GCM", "nebula", nebula.start),
        Tunnel("fastd", "fastd, Salsa20/12 + UMAC", "fastd", fastd.start),
    ]


NONE = "none"
"""No tunnel: what the wire itself carries."""


def compressing_tunnels():
    """Those that `bench/compression.py` compares, in the order of its table."""
    return [
        Tunnel(NONE, "no tunnel", "ip", lambda bed, stack: Running([])),
        *(Tunnel(f"gateway-{setting}", f"gateway, {setting}", wireguard.GATEWAY, wireguard.compressing(setting))
          for setting in ("off", "auto", "deflate", "zstd")),
        Tunnel("openvpn-lz4", "openvpn, lz4-v2", "openvpn", openvpn.compressing("compress lz4-v2")),
        Tunnel("openvpn-lzo", "openvpn, lzo", "openvpn", openvpn.compressing("comp-lzo yes")),
        Tunnel("tinc-zlib", "tinc, zlib 1", "tincd", tinc.compressing(1)),
        Tunnel("tinc-lzo", "tinc, lzo", "tincd", tinc.compressing(10)),
        Tunnel("vtun-zlib", "vtun, zlib 1", "vtund", vtun.compressing("zlib:1")),
        Tunnel("vtun-lzo", "vtun, lzo", "vtund", vtun.compressing("lzo:1")),
        Tunnel("n2n", "n2n 1.3, lzo", "edge", n2n.start),
    ]


def is_installed(tunnel):
    return shutil.which(str(tunnel.program)) is not None
