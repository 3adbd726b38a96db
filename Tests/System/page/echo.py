"""Pings over IPv4 (RFC 792), as packets."""

import struct

from .packets import ICMP, internet_sum, ip


def echo_request(source, destination, data):
    """source, destination: addresses of 4 bytes."""
    return ip(source, destination, ICMP, _with_sum(struct.pack(">BBHHH", 8, 0, 0, 1, 1) + data))


def echo_reply(packet):
    """The answer if the packet is a ping, or None."""
    if len(packet) < 28 or packet[0] != 0x45 or packet[9] != ICMP or packet[20] != 8:
        return None
    return packet[:12] + packet[16:20] + packet[12:16] + _with_sum(b"\0" + packet[21:])


def _with_sum(message):
    """The message with its checksum."""
    message = message[:2] + bytes(2) + message[4:]
    return message[:2] + struct.pack(">H", internet_sum(message)) + message[4:]
