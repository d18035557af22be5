"""The six attacks, against the lab's own servers only; each is bounded in count and time.

Every socket of an attack takes its source port from ``client.ATTACK_PORTS``, each port once:
that is how the ground truth knows each flow although the same host also works normally.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from lab import payloads
from lab.client import ATTACK_PORTS, GONE, Client, TlsLike
from lab.normal import log_in, report
from lab.office import SERVERS, SILENT_OCTET, Site

FLOWS_MAX = 400
"""No attack opens more connections than this."""


async def _repeat(
    c: Client, flows: int, seconds: float, once: Callable[[], Awaitable[None]], spread: float
) -> None:
    """Start ``once`` so many times over the seconds; gaps vary by the factor ``spread``."""
    gap_s = seconds / flows
    running = []
    for _ in range(min(flows, FLOWS_MAX)):
        running.append(asyncio.create_task(_shrug(once)))
        await asyncio.sleep(gap_s * c.rng.uniform(1 - spread, 1 + spread))
    await asyncio.gather(*running)


async def _shrug(once: Callable[[], Awaitable[None]]) -> None:
    with suppress(*GONE):
        await once()


async def port_scan(c: Client, flows: int, seconds: float, variant: int) -> None:
    """Connect to many ports of all hosts; close at once, or wait a moment for a banner (T1046)."""
    octets = [octet for octets in SERVERS.values() for octet in octets] + [SILENT_OCTET]
    octets += [21, 22, 23, 24] if variant else []
    ports = [*range(1, 1025), 3306, 3389, 5432, 5900, 6379, 8000, 8080, 8443, 9100, 9200, 27017]
    targets = [(f"{c.site.lan}{o}", p) for o in octets for p in c.rng.sample(ports, 80)]
    open_ports = ("intranet", "smtp", "imap", "files", "shell")
    known = [address for service in open_ports for address in c.site.addresses(service)]
    targets = c.rng.sample(targets, max(flows - 2 * len(known), 1)) + 2 * known
    c.rng.shuffle(targets)

    async def once() -> None:
        async with c.connect(targets.pop()) as (reader, _):
            if c.rng.random() < 0.5:
                await asyncio.wait_for(reader.read(100), c.rng.uniform(0.1, 0.8))

    await _repeat(c, min(flows, len(targets)), seconds, once, 0.95)


async def password_guessing(c: Client, flows: int, seconds: float, variant: int) -> None:
    """Guess passwords of the ssh-like server, one to six a connection (T1110.001)."""
    tries = (2, 3, 3, 4) if variant else (1, 2, 3, 5, 6)
    typing_s = (0.3, 0.15)[variant]

    async def once() -> None:
        await log_in(c, failures=c.rng.choice(tries), gives_up=True, typing_s=typing_s)

    await _repeat(c, flows, seconds, once, 0.8)


async def slow_http(c: Client, flows: int, seconds: float, variant: int) -> None:
    """Hold many HTTP connections open, one header line at a time (T1499.002)."""
    gap_s = (4.0, 2.8)[variant]

    async def once() -> None:
        async with c.connect(c.address("intranet")) as (_, writer):
            head = payloads.request_head(c.rng, c.rng.choice(("GET", "POST")), "/", 0)
            writer.write(head[:-2])
            for _ in range(c.rng.randint(3, 14)):
                await c.pause(gap_s)
                value = c.rng.getrandbits(8 * c.rng.randint(1, 16))
                writer.write(f"X-{payloads.word(c.rng)}: {value:x}\r\n".encode())
                await writer.drain()

    await _repeat(c, flows, seconds * 0.6, once, 0.9)


async def beacon(c: Client, flows: int, seconds: float, variant: int) -> None:
    """Check in with a controller by small HTTP requests, with jitter (T1071.001)."""
    address = c.site.addresses("drop_http")[variant]

    async def once() -> None:
        async with c.connect(address) as (reader, writer):
            for _ in range(c.rng.choice((1, 1, 1, 1, 2, 3))):  # a task to fetch, at times
                body = c.rng.randbytes(c.rng.choice((0, 0, 24, 48, 180))).hex().encode()
                await report(c, writer, body)
                await asyncio.wait_for(reader.read(2_000), 5)

    await _repeat(c, flows, seconds, once, (0.25, 0.15)[variant])


async def dns_tunnel(c: Client, flows: int, seconds: float, variant: int) -> None:
    """Carry data out in long names and in by TXT answers (T1071.004)."""
    zone = f"{payloads.word(c.rng)}.{payloads.word(c.rng)}.example"
    low, high = ((30, 110), (25, 75))[variant]

    async def once() -> None:
        async with c.socket(c.address("dns")) as server:
            for _ in range(c.rng.choice((1, 1, 2, 3, 6))):
                name = f"{payloads.base32_labels(c.rng, c.rng.randint(low, high))}.{zone}"
                await server.ask(payloads.dns_query(c.rng, name, payloads.TXT))
                await c.pause(0.15)

    await _repeat(c, flows, seconds, once, 0.9)


async def bulk_upload(c: Client, flows: int, seconds: float, variant: int) -> None:
    """Send archives out over the TLS-like protocol, a part a connection (T1048.002)."""
    address = c.site.addresses("drop")[variant]
    middle = (45_000, 62_000)[variant]

    async def once() -> None:
        async with c.connect(address) as (reader, writer):
            session = TlsLike(c.rng, reader, writer)
            await session.handshake()
            size = int(min(middle * c.rng.lognormvariate(0, 0.5), 160_000))
            await session.exchange(size, c.rng.randint(60, 1_500), c.rng.choice((0.0, 0.03, 0.1)))

    await _repeat(c, flows, seconds, once, 0.8)


Attack = Callable[[Client, int, float, int], Awaitable[None]]

ATTACKS: dict[str, tuple[Attack, str]] = {
    "beacon": (beacon, "T1071.001"),
    "bulk_upload": (bulk_upload, "T1048.002"),
    "dns_tunnel": (dns_tunnel, "T1071.004"),
    "password_guessing": (password_guessing, "T1110.001"),
    "port_scan": (port_scan, "T1046"),
    "slow_http": (slow_http, "T1499.002"),
}
"""Attack: how it is played, and its ATT&CK technique."""


def attack_ports(name: str) -> range:
    """Return the block of source ports of an attack, a part of ``ATTACK_PORTS``."""
    first, last = ATTACK_PORTS
    width = (last - first + 1) // len(ATTACKS)
    start = first + sorted(ATTACKS).index(name) * width
    return range(start, start + width)


async def attack(name: str, site: Site, own: str, seed: str, plan: dict[str, float]) -> None:
    """Play one attack: wait ``start_s``, then open ``flows`` flows over ``seconds``."""
    rng = random.Random(seed)
    ports = rng.sample(attack_ports(name), 1_000)
    client = Client(rng, site, ports, own)
    await asyncio.sleep(plan["start_s"])
    play, _ = ATTACKS[name]
    await play(client, int(plan["flows"]), plan["seconds"], int(plan["variant"]))
