"""Bytes that look like the real thing: text, HTTP heads, TLS-like records, DNS messages."""

import base64
import random
import struct

SYLLABLES = tuple(
    "ba be bi co da de fa ga ho ka la li ma me mo na ne no pa re ri sa se ta te to va vi".split()  # noqa: SIM905
)
TLDS = ("com", "net", "org", "example", "test")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Safari/605.1.15",
    "python-requests/2.32",
    "curl/8.5.0",
)
A, TXT, AAAA = 1, 16, 28
NXDOMAIN = 3


def word(rng: random.Random) -> str:
    """Return one made-up word of two to five syllables."""
    return "".join(rng.choices(SYLLABLES, k=rng.randint(2, 5)))


def text(rng: random.Random, size: int) -> bytes:
    """Return about ``size`` bytes of made-up prose, cut to the byte."""
    vocabulary = [word(rng) for _ in range(60)]
    prose = " ".join(rng.choices(vocabulary, k=size // 4 + 1)).encode()
    return (prose + b" " * size)[:size]


def host_name(rng: random.Random) -> str:
    """Return a made-up host name: short ones often, long delivery-network ones at times."""
    base = f"{word(rng)}.{rng.choice(TLDS)}"
    kind = rng.random()
    if kind < 0.5:
        return f"www.{base}"
    if kind < 0.8:
        return f"{word(rng)}.{base}"
    return f"{word(rng)}-{rng.randrange(10**6)}.edge-{rng.randrange(99)}.{word(rng)}.{base}"


def request_head(rng: random.Random, method: str, path: str, body_bytes: int = 0) -> bytes:
    """Return an HTTP/1.1 request head with headers of varied number and length."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host_name(rng)}",
        f"User-Agent: {rng.choice(AGENTS)}",
    ]
    if rng.random() < 0.7:
        lines.append("Accept: text/html,application/xhtml+xml,*/*;q=0.8")
    if rng.random() < 0.6:
        lines.append(f"Cookie: sid={rng.getrandbits(rng.choice((64, 128, 512))):x}")
    if rng.random() < 0.4:
        lines.append(f"Referer: http://{host_name(rng)}/{word(rng)}/{word(rng)}.html")
    if body_bytes:
        lines.append(f"Content-Length: {body_bytes}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def response_head(rng: random.Random, body_bytes: int, status: str = "200 OK") -> bytes:
    """Return an HTTP/1.1 response head."""
    kind = rng.choice(("text/html", "application/json", "image/png", "text/css"))
    lines = [
        f"HTTP/1.1 {status}",
        f"Server: {rng.choice(('nginx', 'Apache', 'lab'))}",
        f"Content-Type: {kind}",
        f"Content-Length: {body_bytes}",
    ]
    if rng.random() < 0.5:
        lines.append(f"ETag: {rng.getrandbits(64):x}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def record(kind: int, body: bytes) -> bytes:
    """Return one TLS-like record: kind, version 3.3, length, body."""
    return struct.pack(">BHH", kind, 0x0303, len(body)) + body


def records(rng: random.Random, size: int) -> bytes:
    """Return ``size`` random bytes as application-data records of at most 16 kB each."""
    out = []
    while size > 0:
        part = min(size, 16_384)
        out.append(record(23, rng.randbytes(part)))
        size -= part
    return b"".join(out)


def client_hello(rng: random.Random) -> bytes:
    """Return a ClientHello-like record; its 32 random bytes begin at offset 11."""
    suites = struct.pack(">9H", *rng.sample(range(0xC001, 0xC0B0), 9))
    name = host_name(rng).encode()
    extensions = struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    extensions += b"\x00\x17\x00\x00\x00\x0a\x00\x04\x00\x02\x00\x1d"
    if rng.random() < 0.7:
        extensions += struct.pack(">HHHH", 51, 38, 36, 29) + b"\x00\x20" + rng.randbytes(32)
    extensions += struct.pack(">HH", 21, pad := rng.choice((0, 0, 64, 180))) + bytes(pad)
    hello = b"\x03\x03" + rng.randbytes(32) + b"\x20" + rng.randbytes(32)
    hello += struct.pack(">H", len(suites)) + suites + b"\x01\x00"
    hello += struct.pack(">H", len(extensions)) + extensions
    return record(22, b"\x01" + len(hello).to_bytes(3, "big") + hello)


def server_hello(rng: random.Random) -> bytes:
    """Return a ServerHello-like record followed by a certificate-sized one."""
    hello = b"\x03\x03" + rng.randbytes(32) + b"\x20" + rng.randbytes(32) + b"\xc0\x2f\x00"
    first = record(22, b"\x02" + len(hello).to_bytes(3, "big") + hello)
    return first + record(23, rng.randbytes(rng.randint(900, 3600)))


def dns_query(rng: random.Random, name: str, kind: int) -> bytes:
    """Return a DNS query message (RFC 1035, section 4), sometimes with EDNS."""
    edns = rng.random() < 0.4
    head = struct.pack(">6H", rng.getrandbits(16), 0x0100, 1, 0, 0, int(edns))
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    option = b"\x00" + struct.pack(">HHIH", 41, 1232, 0, 0) if edns else b""
    return head + labels + b"\x00" + struct.pack(">HH", kind, 1) + option


def dns_question(query: bytes) -> tuple[str, int, int]:
    """Return name, record type and the offset after the question of a query of our own."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    kind = struct.unpack_from(">H", query, at + 1)[0]
    return ".".join(labels), kind, at + 5


def dns_answer(query: bytes, values: list[bytes], ttl_s: int, code: int = 0) -> bytes:
    """Return the answer to ``query`` with one resource record for each value."""
    _, kind, end = dns_question(query)
    head = query[:2] + struct.pack(">5H", 0x8180 | code, 1, len(values), 0, 0)
    answers = [
        b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, ttl_s, len(value)) + value for value in values
    ]
    return head + query[12:end] + b"".join(answers)


def txt(value: bytes) -> bytes:
    """Return a TXT value as its chain of strings of at most 255 bytes."""
    parts = [value[i : i + 255] for i in range(0, len(value), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts)


def base32_labels(rng: random.Random, size: int) -> str:
    """Return random bytes as base32 labels of at most 63 characters, as DNS tunnels send them."""
    coded = base64.b32encode(rng.randbytes(size)).decode().rstrip("=").lower()
    width = rng.randint(40, 63)
    return ".".join(coded[i : i + width] for i in range(0, len(coded), width))
