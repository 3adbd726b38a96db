"""What all records have around them (§3), and options of a HELLO."""

import struct


def record(kind, parameter, body):
    """One record as the payload of a transport message."""
    return padded(struct.pack("<BBH", kind, parameter, len(body)) + body)


def option(kind, value):
    return bytes([kind, len(value)]) + value


def padded(payload):
    return payload + bytes(-len(payload) % 16)
