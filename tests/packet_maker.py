"""Packets and captures made by hand, for tests."""

import io
import struct
from ipaddress import ip_address
from pathlib import Path

from inoculate.domain import Source

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
A6, B6 = "2001:db8::1", "2001:db8::2"


def tcp(sport=1000, dport=80, flags=ACK, payload=b"", options=b""):
    offset = (20 + len(options)) // 4 << 4
    return (
        struct.pack(">HHIIBBHHH", sport, dport, 1, 1, offset, flags, 64, 0, 0) + options + payload
    )


def udp(sport=1000, dport=53, payload=b""):
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def icmp(payload=b"", kind=8):
    return struct.pack(">BBHI", kind, 0, 0, 0) + payload


def ip4(body, src=A, dst=B, proto=6, *, options=b"", fragment=0, ident=7, total=None):
    size = 20 + len(options)
    total = size + len(body) if total is None else total
    head = (0x40 | size // 4, 0, total, ident, fragment, 64, proto, 0)
    hosts = ip_address(src).packed + ip_address(dst).packed
    return struct.pack(">BBHHHBBH", *head) + hosts + options + body


def ip6(body, src=A6, dst=B6, proto=6, *, payload=None):
    payload = len(body) if payload is None else payload
    hosts = ip_address(src).packed + ip_address(dst).packed
    return struct.pack(">IHBB", 6 << 28, payload, proto, 64) + hosts + body


def ether(packet, kind=0x0800, tags=()):
    middle = b"".join(struct.pack(">HH", tag, vid) for tag, vid in tags)
    return bytes(12) + middle + struct.pack(">H", kind) + packet


def ether6(packet):
    return ether(packet, 0x86DD)


def pcap(packets, *, link=1, order="<", magic=0xA1B2C3D4, wire=None):
    """Return a pcap file of (seconds, frame) pairs."""
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)]
    unit = 10**9 if magic == 0xA1B23C4D else 10**6
    for moment, frame in packets:
        whole = round(moment * 10**6) * (unit // 10**6)
        size = len(frame) if wire is None else wire
        head = (whole // unit, whole % unit, len(frame), size)
        out += [struct.pack(order + "IIII", *head), frame]
    return b"".join(out)


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link=1, order="<", *, resolution=None, offset_s=None, snaplen=0):
    options = b""
    if resolution is not None:
        options += struct.pack(order + "HHB3x", 9, 1, resolution)
    if offset_s is not None:
        options += struct.pack(order + "HHq", 14, 8, offset_s)
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def enhanced(frame, ticks, which=0, order="<"):
    head = (which, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, struct.pack(order + "IIIII", *head) + frame, order)


def simple(frame, order="<", wire=None):
    return block(3, struct.pack(order + "I", wire or len(frame)) + frame, order)


def old_packet(frame, ticks, which=0, order="<"):
    head = (which, 5, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(2, struct.pack(order + "HHIIII", *head) + frame, order)


def source(data, name="made.pcap"):
    return Source(name, None, data[:65536], io.BytesIO(data))


def source_of(path: Path):
    return source(path.read_bytes(), path.name)


def sample() -> bytes:
    """Return the capture that is kept as tests/data/pcap.pcap: names, a page, a ping, a scan."""
    packets = []
    for i in range(12):
        t, port = 1_700_000_000 + i * 7.0, 40000 + i
        name = bytes([7]) + b"example" + bytes([3]) + b"com\0"
        packets += [
            (t, ether(ip4(udp(port, 53, name), A, C, 17))),
            (t + 0.02, ether(ip4(udp(53, port, name + bytes(16)), C, A, 17))),
        ]
        if i % 3 == 0:
            get, page = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", b"<p>page %d</p>" % i * 9
            steps = [(1, SYN, b""), (0, SYN | ACK, b""), (1, ACK, b""), (1, PSH | ACK, get)]
            steps += [(0, PSH | ACK, page), (1, FIN | ACK, b""), (0, FIN | ACK, b""), (1, ACK, b"")]
            for k, (asks, flags, body) in enumerate(steps):
                ports = (port, 80) if asks else (80, port)
                hosts = (A, B) if asks else (B, A)
                packets.append((t + 0.1 + k * 0.01, ether(ip4(tcp(*ports, flags, body), *hosts))))
        packets += [
            (t + 1, ether(ip4(icmp(b"ping" * 4), A, B, 1))),
            (t + 1.01, ether(ip4(icmp(b"ping" * 4, 0), B, A, 1))),
            (t + 2, ether(ip4(tcp(50000, 1 + i, SYN), C, B))),
            (t + 2.001, ether(ip4(tcp(1 + i, 50000, RST | ACK), B, C))),
        ]
    return pcap(packets)
