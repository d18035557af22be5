"""Makes a capture of HTTP requests, each a connection of its own, for a tool that reads packets."""

import struct
from collections.abc import Iterator, Sequence

_SERVER = b"\xc0\x00\x02\x01"  # 192.0.2.1, for documentation (RFC 5737)
_FIRST_CLIENT = 0x0A000001
_PORT, _HTTP = 40_000, 80
_MOST_PAYLOAD = 1_400
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_SYN, _ACK, _PUSH, _FIN = 2, 16, 8, 1
_START_S = 1_700_000_000


def capture_of(requests: Sequence[bytes]) -> bytes:
    """Return a pcap file; the request of index i comes from the address ``client(i)``."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)]
    n = 0
    for i, request in enumerate(requests):
        for frame in _connection(struct.pack(">I", _FIRST_CLIENT + i), request):
            seconds, micros = divmod(n * 100, 1_000_000)
            head = struct.pack("<IIII", _START_S + seconds, micros, len(frame), len(frame))
            out += [head, frame]
            n += 1
    return b"".join(out)


def client(i: int) -> str:
    """Return the address that request i comes from.

    Example:
        >>> client(0), client(256)
        ('10.0.0.1', '10.0.1.1')
    """
    return ".".join(map(str, struct.pack(">I", _FIRST_CLIENT + i)))


def request_of(method: str, target: str, body: str, agent: str) -> bytes:
    """Return a request as it is sent, without line breaks but where they belong."""
    head = [f"{method} {target} HTTP/1.1", "Host: example"]
    if agent:
        head.append(f"User-Agent: {agent}")
    content = body.encode("utf-8", "replace")
    if content or method in ("POST", "PUT", "PATCH"):
        head.append("Content-Type: application/x-www-form-urlencoded")
        head.append(f"Content-Length: {len(content)}")
    lines = (_line(text) for text in head)
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def _line(text: str) -> bytes:
    one = "".join(c if c.isprintable() else "%00" for c in text)
    return one.encode("utf-8", "replace")


def _connection(client_ip: bytes, request: bytes) -> Iterator[bytes]:
    there, back = (client_ip, _SERVER, _PORT, _HTTP), (_SERVER, client_ip, _HTTP, _PORT)
    yield _frame(there, 0, 0, _SYN)
    yield _frame(back, 0, 1, _SYN | _ACK)
    yield _frame(there, 1, 1, _ACK)
    at = 1
    for start in range(0, len(request), _MOST_PAYLOAD):
        piece = request[start : start + _MOST_PAYLOAD]
        yield _frame(there, at, 1, _PUSH | _ACK, piece)
        at += len(piece)
        yield _frame(back, 1, at, _ACK)
    yield _frame(back, 1, at, _PUSH | _ACK, _ANSWER)
    end = 1 + len(_ANSWER)
    yield _frame(there, at, end, _FIN | _ACK)
    yield _frame(back, end, at + 1, _FIN | _ACK)
    yield _frame(there, at + 1, end + 1, _ACK)


def _frame(
    ends: tuple[bytes, bytes, int, int], seq: int, ack: int, flags: int, payload: bytes = b""
) -> bytes:
    source, target, source_port, target_port = ends
    ports = (source_port, target_port)
    head = struct.pack(">HHIIBBHHH", *ports, seq, ack, 0x50, flags, 65_535, 0, 0)
    pseudo = source + target + struct.pack(">BBH", 0, 6, len(head) + len(payload))
    tcp = head[:16] + struct.pack(">H", _checksum(pseudo + head + payload)) + head[18:]
    total = 20 + len(tcp) + len(payload)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, total, 1, 0x4000, 64, 6, 0) + source + target
    ip = ip[:10] + struct.pack(">H", _checksum(ip)) + ip[12:]
    return bytes(12) + b"\x08\x00" + ip + tcp + payload


def _checksum(data: bytes) -> int:
    """Return the checksum of RFC 1071."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF
