"""The servers of the office and of the world outside, each an asyncio callback.

Every server draws its answers (sizes, delays, words) from its own seeded generator.
"""

import asyncio
import random
import struct
from collections.abc import Awaitable, Callable
from functools import partial

from lab import payloads
from lab.office import Site

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Serve = Callable[[Reader, Writer, random.Random], Awaitable[None]]

TUNNEL_LABEL = 36
"""First labels longer than this get the long TXT answers of a tunnel."""


async def think(rng: random.Random, mean_s: float) -> None:
    """Sleep for a time with that mean, at most ten times it."""
    await asyncio.sleep(min(rng.expovariate(1 / mean_s), 10 * mean_s))


def body_size(rng: random.Random, path: str) -> int:
    """Return how many bytes a page of that kind has: log-normal, at most 60 kB."""
    middle = {"/api": 350, "/img": 5_000, "/chk": 110, "/log": 900}.get(path[:4], 2_200)
    return int(min(middle * rng.lognormvariate(0, 0.9), 60_000))


async def serve_http(reader: Reader, writer: Writer, rng: random.Random) -> None:
    """Answer HTTP requests until the client is done; /events drips, /poll waits."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                await reader.readexactly(int(line.split(b":")[1]))
        if path.startswith("/events"):
            writer.write(payloads.response_head(rng, 10**6))
            for _ in range(rng.randint(3, 30)):
                await writer.drain()
                await think(rng, 4)
                writer.write(payloads.text(rng, rng.randint(15, 160)) + b"\n")
            return
        await think(rng, 12 if path.startswith("/poll") else 0.03)
        status = "404 Not Found" if rng.random() < 0.03 else "200 OK"
        size = body_size(rng, path)
        writer.write(payloads.response_head(rng, size, status) + payloads.text(rng, size))
        await writer.drain()


async def read_record(reader: Reader) -> bytes:
    """Return the body of the next TLS-like record."""
    _, _, size = struct.unpack(">BHH", await reader.readexactly(5))
    return await reader.readexactly(size)


def mask(random_bytes: bytes, plan: bytes) -> bytes:
    """Hide (or show again) the eight bytes that say how much goes up and down."""
    return bytes(a ^ b for a, b in zip(random_bytes[:8], plan[:8], strict=True))


async def serve_tls_like(reader: Reader, writer: Writer, rng: random.Random) -> None:
    """Play a handshake, then take the announced bytes and give the announced bytes."""
    hello = await read_record(reader)
    writer.write(payloads.server_hello(rng))
    await read_record(reader)
    writer.write(payloads.record(20, b"\x01") + payloads.records(rng, 40))
    while True:
        request = await read_record(reader)
        upload, download = struct.unpack(">II", mask(hello[6:14], request))
        while upload > 0:
            upload -= len(await read_record(reader))
        await think(rng, 0.04)
        writer.write(payloads.records(rng, min(download, 400_000)))
        await writer.drain()


async def serve_smtp(reader: Reader, writer: Writer, rng: random.Random) -> None:
    """Play the receiving side of a mail dialogue."""
    writer.write(f"220 mail.{payloads.word(rng)}.test ESMTP\r\n".encode())
    answers = {
        b"EHLO": b"250-mail\r\n250-SIZE 35882577\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
        b"DATA": b"354 go ahead\r\n",
        b"QUIT": b"221 bye\r\n",
    }
    while line := await reader.readline():
        await think(rng, 0.01)
        verb = line[:4].upper()
        if verb == b"RCPT" and rng.random() < 0.04:
            writer.write(b"550 no such user\r\n")
            continue
        writer.write(answers.get(verb, b"250 ok\r\n"))
        if verb == b"DATA":
            await reader.readuntil(b"\r\n.\r\n")
            await think(rng, 0.08)
            writer.write(f"250 queued as {rng.getrandbits(40):x}\r\n".encode())
        if verb == b"QUIT":
            return
        await writer.drain()


async def serve_imap(reader: Reader, writer: Writer, rng: random.Random) -> None:
    """Play a mailbox that now and then holds new mail."""
    writer.write(b"* OK ready\r\n")
    while line := await reader.readline():
        tag, _, rest = line.partition(b" ")
        await think(rng, 0.015)
        if rest.startswith(b"FETCH"):
            body = payloads.text(rng, int(min(2_500 * rng.lognormvariate(0, 1), 60_000)))
            writer.write(b"* 1 FETCH {%d}\r\n" % len(body) + body + b"\r\n")
        elif rest.startswith(b"SELECT"):
            writer.write(b"* %d EXISTS\r\n* 0 RECENT\r\n" % rng.randint(10, 4_000))
        writer.write(tag + b" OK done\r\n")
        await writer.drain()
        if rest.startswith(b"LOGOUT"):
            return


async def serve_files(reader: Reader, writer: Writer, rng: random.Random) -> None:
    """Give (GET name size) or take (PUT name size) files."""
    writer.write(b"@LABFILES: 31.0\n")
    while line := await reader.readline():
        verb, _, size = line.split()
        await think(rng, 0.02)
        if verb == b"GET":
            writer.write(b"150 %d\n" % int(size) + rng.randbytes(min(int(size), 400_000)))
        else:
            await reader.readexactly(min(int(size), 400_000))
            writer.write(b"226 stored\n")
        await writer.drain()


async def read_packet(reader: Reader) -> bytes:
    """Return the next length-prefixed packet of the ssh-like protocol."""
    return await reader.readexactly(struct.unpack(">I", await reader.readexactly(4))[0])


def packet(body: bytes) -> bytes:
    """Return a length-prefixed packet of the ssh-like protocol."""
    return struct.pack(">I", len(body)) + body


async def serve_shell(reader: Reader, writer: Writer, rng: random.Random) -> None:
    """Play an ssh-like server: banner, key exchange, at most six log-in attempts, echoes.

    A log-in attempt is right when its first byte is even.
    """
    writer.write(b"SSH-2.0-OpenLab_9.2\r\n")
    await reader.readline()
    writer.write(packet(rng.randbytes(rng.randint(880, 1080))))
    await read_packet(reader)
    await read_packet(reader)
    writer.write(packet(rng.randbytes(rng.randint(440, 620))))
    for _ in range(6):
        attempt = await read_packet(reader)
        right = attempt[0] % 2 == 0
        await think(rng, 0.05 if right else 0.5)
        writer.write(packet(rng.randbytes(rng.choice((28, 36, 44)) if right else 76)))
        if right:
            break
    else:
        return
    while True:
        typed = await read_packet(reader)
        await think(rng, 0.01)
        writer.write(packet(rng.randbytes(len(typed))))
        if rng.random() < 0.12:
            await think(rng, 0.1)
            size = int(min(700 * rng.lognormvariate(0, 1.1), 30_000))
            writer.write(packet(rng.randbytes(size)))
        await writer.drain()


class Names(asyncio.DatagramProtocol):
    """A recursive name server that makes its answers up, after a varied delay."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer later: a cached name at once, others after a recursion."""
        recursion = 0.0004 if self._rng.random() < 0.4 else self._rng.lognormvariate(-3.6, 0.8)
        answer = self._answer(data)
        loop = asyncio.get_running_loop()
        loop.call_later(min(recursion, 2), self._transport.sendto, answer, addr)

    def _answer(self, query: bytes) -> bytes:
        rng = self._rng
        name, kind, _ = payloads.dns_question(query)
        first = name.split(".")[0]
        if kind == payloads.TXT and len(first) > TUNNEL_LABEL:
            coded = payloads.base32_labels(rng, rng.randint(12, 140)).replace(".", "")
            return payloads.dns_answer(query, [payloads.txt(coded.encode())], rng.randint(0, 5))
        if first.startswith("nx") or rng.random() < 0.03:
            return payloads.dns_answer(query, [], 0, payloads.NXDOMAIN)
        if kind == payloads.TXT:
            value = b"v=spf1 include:" + payloads.host_name(rng).encode() + b" ~all"
            if rng.random() < 0.4:
                value = b"v=DKIM1; k=rsa; p=" + rng.randbytes(rng.randint(60, 110)).hex().encode()
            return payloads.dns_answer(query, [payloads.txt(value)], 3600)
        size = 4 if kind == payloads.A else 16
        values = [rng.randbytes(size) for _ in range(rng.choice((0, 1, 1, 1, 2, 4)))]
        return payloads.dns_answer(query, values, rng.randint(20, 3600))


class Clock(asyncio.DatagramProtocol):
    """A time server: 48 bytes back for 48 bytes."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer at once."""
        self._transport.sendto(b"\x24\x02" + data[2:40] + self._rng.randbytes(8), addr)


TCP: dict[str, Serve] = {
    "intranet": serve_http,
    "wiki": serve_http,
    "site": serve_http,
    "cloud_http": serve_http,
    "drop_http": serve_http,
    "secure": serve_tls_like,
    "cloud": serve_tls_like,
    "drop": serve_tls_like,
    "smtp": serve_smtp,
    "imap": serve_imap,
    "files": serve_files,
    "shell": serve_shell,
}
UDP: dict[str, Callable[[random.Random], asyncio.DatagramProtocol]] = {"dns": Names, "ntp": Clock}
ROLES: dict[str, tuple[str, ...]] = {
    "names": ("dns", "ntp"),
    "web": ("intranet", "wiki"),
    "mail": ("smtp", "imap"),
    "files": ("files",),
    "shell": ("shell",),
    "outside": ("site", "secure", "cloud", "cloud_http", "drop", "drop_http"),
}
"""Host role: the services that it offers."""


def _callback(serve: Serve, rng: random.Random) -> Callable[[Reader, Writer], Awaitable[None]]:
    async def answer(reader: Reader, writer: Writer) -> None:
        try:
            await serve(reader, writer, random.Random(rng.getrandbits(64)))
        except (OSError, EOFError, asyncio.CancelledError, asyncio.LimitOverrunError):
            pass  # the client left, or the run is over
        finally:
            writer.close()

    return answer


async def start(
    role: str, site: Site, seed: int
) -> list[asyncio.AbstractServer | asyncio.BaseTransport]:
    """Start every service of a host role; return what has to be closed in the end.

    Raises:
        OSError: an address or a port is taken or not ours.
    """
    started: list[asyncio.AbstractServer | asyncio.BaseTransport] = []
    for service in ROLES[role]:
        for address, port in site.addresses(service):
            rng = random.Random(f"{seed}/{service}/{address}")
            if service in UDP:
                transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    partial(UDP[service], rng), local_addr=(address, port)
                )
                started.append(transport)
            else:
                serve = _callback(TCP[service], rng)
                started.append(await asyncio.start_server(serve, address, port, backlog=512))
    return started
