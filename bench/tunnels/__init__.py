"""What is measured. A tunnel is a name, a program, and how to start it at both ends of a `Bed`."""

import os
import shutil

from . import fastd, nebula, openvpn, tinc, wireguard
from .tunnel import Tunnel

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


def is_installed(tunnel):
    return shutil.which(str(tunnel.program)) is not None
