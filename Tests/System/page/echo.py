"""Pings over IPv4 (RFC 792), as packets."""

import struct


def echo_request(source, destination, data):
    """source, destination: addresses of 4 bytes."""
    head = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(data), 0, 0, 64, 1, 0) + source + destination
    return _with_sum(head, 10) + _with_sum(struct.pack(">BBHHH", 8, 0, 0, 1, 1) + data, 2)


def echo_reply(packet):
    """The answer if the packet is a ping, or None."""
    if len(packet) < 28 or packet[0] != 0x45 or packet[9] != 1 or packet[20] != 8:
        return None
    return packet[:12] + packet[16:20] + packet[12:16] + _with_sum(b"\0" + packet[21:], 2)


def _with_sum(data, at):
    """The data with its Internet checksum (RFC 1071) at that offset."""
    data = data[:at] + bytes(2) + data[at + 2:]
    words = struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    return data[:at] + struct.pack(">H", -sum(words) % 0xFFFF) + data[at + 2:]
