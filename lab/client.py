"""What every client behaviour needs: a seeded generator, the site, bounded connections."""

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from lab import payloads
from lab.office import Site
from lab.servers import Reader, Writer, mask, read_record

CONNECT_S = 6.0
ATTACK_PORTS = (10_000, 31_999)
"""Source ports of attack flows; the kernel gives ordinary flows 32768 and above."""

GONE = (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError)
"""What a client shrugs off: the other side refused, left or was too slow."""


class _Inbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.put_nowait(data)


@dataclass
class Client:
    """One host's user or program.

    Attributes:
        rng: source of every choice.
        site: where the services are.
        ports: source ports to use, each once; empty lets the kernel choose.
        own: address to bind when ``ports`` are given.
    """

    rng: random.Random
    site: Site
    ports: list[int] = field(default_factory=list)
    own: str = "0.0.0.0"

    def _source(self) -> tuple[str, int] | None:
        return (self.own, self.ports.pop()) if self.ports else None

    def address(self, service: str) -> tuple[str, int]:
        """Return one address that offers the service."""
        return self.rng.choice(self.site.addresses(service))

    async def pause(self, mean_s: float) -> None:
        """Sleep for a time with that mean, at most six times it."""
        await asyncio.sleep(min(self.rng.expovariate(1 / mean_s), 6 * mean_s))

    @asynccontextmanager
    async def connect(self, address: tuple[str, int]) -> AsyncIterator[tuple[Reader, Writer]]:
        """Open a TCP connection and close it after the block."""
        opening = asyncio.open_connection(*address, local_addr=self._source())
        reader, writer = await asyncio.wait_for(opening, CONNECT_S)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(*GONE):
                await asyncio.wait_for(writer.wait_closed(), 2)

    @asynccontextmanager
    async def socket(self, address: tuple[str, int]) -> AsyncIterator["Datagrams"]:
        """Open a connected UDP socket for the block."""
        loop = asyncio.get_running_loop()
        transport, inbox = await loop.create_datagram_endpoint(
            _Inbox, remote_addr=address, local_addr=self._source()
        )
        try:
            yield Datagrams(transport, inbox)
        finally:
            transport.close()

    async def resolve(self) -> None:
        """Look a made-up name up, as programs do before they connect (often both families)."""
        name = payloads.host_name(self.rng)
        async with self.socket(self.address("dns")) as server:
            for kind in self.rng.choice(((payloads.A,), (payloads.A, payloads.AAAA))):
                await server.ask(payloads.dns_query(self.rng, name, kind))


@dataclass(frozen=True)
class Datagrams:
    """A connected UDP socket that sends and waits for the answer."""

    transport: asyncio.DatagramTransport
    inbox: _Inbox

    async def ask(self, message: bytes, wait_s: float = 2.5) -> bytes:
        """Send one message and return the answer.

        Raises:
            TimeoutError: nothing came in time.
        """
        self.transport.sendto(message)
        return await asyncio.wait_for(self.inbox.received.get(), wait_s)


class TlsLike:
    """The client's end of the TLS-like protocol: handshake, then exchanges."""

    def __init__(self, rng: random.Random, reader: Reader, writer: Writer) -> None:
        self._rng, self._reader, self._writer = rng, reader, writer

    async def handshake(self) -> None:
        """Play the handshake."""
        hello = payloads.client_hello(self._rng)
        self._random = hello[11:19]
        self._writer.write(hello)
        for _ in range(2):
            await read_record(self._reader)
        self._writer.write(payloads.record(22, self._rng.randbytes(self._rng.choice((37, 69)))))
        for _ in range(2):
            await read_record(self._reader)

    async def exchange(self, upload: int, download: int, pace_s: float = 0.0) -> None:
        """Send ``upload`` bytes, in bursts when paced, and take ``download`` bytes."""
        plan = mask(self._random, struct.pack(">II", upload, download))
        filler = self._rng.randbytes(self._rng.randint(60, 700))
        self._writer.write(payloads.record(23, plan + filler))
        while upload > 0:
            burst = min(upload, self._rng.randint(4_000, 16_000))
            upload -= burst
            self._writer.write(payloads.records(self._rng, burst))
            await self._writer.drain()
            if pace_s:
                await asyncio.sleep(self._rng.expovariate(1 / pace_s))
        while download > 0:
            download -= len(await read_record(self._reader))
