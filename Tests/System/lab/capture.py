"""Captures as tcpdump would write them, made of packets that nobody sent."""

import ipaddress
import struct

from . import payload

CLIENT, SERVER = "10.1.0.2", "10.2.0.2"


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip(source, destination, transport, body):
    """An IP packet, of the version of its addresses."""
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if source.version == 6:
        return struct.pack(">IHBB", 6 << 28, len(body), transport, 64) + source.packed + destination.packed + body
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0x4000, 64, transport, 0) \
        + source.packed + destination.packed
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + body


def udp(source, destination, ports, body):
    return ip(source, destination, 17, struct.pack(">HHHH", *ports, 8 + len(body), 0) + body)


def tcp(source, destination, ports, body, sequence=0):
    return ip(source, destination, 6, struct.pack(">HHIIBBHHH", *ports, sequence, 1, 5 << 4, 0x10, 4096, 0, 0) + body)


def stream(source, destination, ports, data, size=1448):
    """The packets of a TCP stream."""
    return [tcp(source, destination, ports, data[at:at + size], at) for at in range(0, len(data), size)]


def ethernet(packet, vlan=None):
    tag = struct.pack(">HH", 0x8100, vlan) if vlan else b""
    return bytes(12) + tag + struct.pack(">H", 0x86dd if packet[0] >> 4 == 6 else 0x0800) + packet


def spread(frames, every=0.01, start=1_700_000_000):
    """The frames, so many seconds apart."""
    return [(start + index * every, frame, len(frame)) for index, frame in enumerate(frames)]


def pcap(path, frames, link=1):
    """Writes frames, each with its time, what was captured of it, and its length, in nanoseconds."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, link))
        for time, captured, length in frames:
            nanoseconds = round(time * 1e9)
            file.write(struct.pack("<IIII", *divmod(nanoseconds, 10**9), len(captured), length) + captured)
    return path


def pcapng(path, frames, link=1):
    """The same as pcapng, big-endian, in microseconds."""
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack(">II", kind, 12 + len(body)) + body + struct.pack(">I", 12 + len(body))

    with open(path, "wb") as file:
        file.write(block(0x0a0d0d0a, struct.pack(">IHHq", 0x1a2b3c4d, 1, 0, -1)))
        file.write(block(1, struct.pack(">HHI", link, 0, 0)))
        for time, captured, length in frames:
            stamp = round(time * 1e6)
            file.write(block(6, struct.pack(">IIIII", 0, stamp >> 32, stamp & 0xffffffff, len(captured), length)
                             + captured))
    return path


def office():
    """What two offices may say to each other: packets, without a link's header."""
    text = payload.text(2 << 20)
    noise = payload.random(1 << 18)
    packets = stream(SERVER, CLIENT, (5432, 40000), text[:400_000])
    packets += stream(SERVER, CLIENT, (443, 40001), noise)
    packets += stream("fd02::2", "fd01::2", (3306, 40002), text[400_000:600_000], 1428)
    for index in range(200):
        packets.append(tcp(CLIENT, SERVER, (40000, 5432), b""))
        packets.append(udp(CLIENT, SERVER, (40003, 53), b"\1\0\0\1" + bytes(8) + b"%d.example" % index))
        packets.append(udp(SERVER, CLIENT, (514, 514), text[index * 700:index * 700 + 700]))
        packets.append(udp(CLIENT, SERVER, (40004, 443), noise[index * 1000:index * 1000 + 1200]))
    packets += stream(CLIENT, SERVER, (40005, 80), text[600_000:700_000])
    packets.append(ip(CLIENT, SERVER, 1, struct.pack(">BBHHH", 8, 0, 0, 1, 1) + bytes(56)))
    return packets
