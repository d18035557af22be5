"""Normal traffic: what the people and the programs of a small office do.

Part of it looks like an attack on purpose: refused and unanswered connections, long idle
connections, slowly written requests, failed log-ins, regular check-ins, TXT lookups with
long labels, big uploads, a monitor that touches every service. A detector has to live with
such traffic.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from lab import payloads
from lab.client import GONE, Client, TlsLike
from lab.office import SILENT_OCTET
from lab.servers import packet, read_packet

Behaviour = Callable[[Client], Awaitable[None]]


async def _fetch(c: Client, reader: asyncio.StreamReader) -> None:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    for line in head.split(b"\r\n"):
        if line.startswith(b"Content-Length:"):
            await reader.readexactly(int(line.split(b":")[1]))


async def browse(c: Client) -> None:
    """Read some plain HTTP pages over one to three kept-alive connections."""
    address = c.address(c.rng.choice(("site", "site", "intranet", "wiki")))
    await c.resolve()

    async def pages() -> None:
        async with c.connect(address) as (reader, writer):
            for _ in range(min(1 + int(c.rng.expovariate(0.6)), 10)):
                kind = c.rng.choice(("/", "/img/", "/img/", "/api/"))
                writer.write(payloads.request_head(c.rng, "GET", kind + payloads.word(c.rng)))
                await _fetch(c, reader)
                await c.pause(c.rng.choice((0.05, 0.4, 2.5)))

    await asyncio.gather(*(pages() for _ in range(c.rng.choice((1, 1, 2, 3)))))


async def browse_secure(c: Client) -> None:
    """Visit a site over the TLS-like protocol: mostly down, a little up."""
    await c.resolve()
    async with c.connect(c.address("secure")) as (reader, writer):
        session = TlsLike(c.rng, reader, writer)
        await session.handshake()
        for _ in range(min(1 + int(c.rng.expovariate(0.7)), 8)):
            size = int(min(2_600 * c.rng.lognormvariate(0, 1.2), 80_000))
            upload = 0 if c.rng.random() < 0.6 else int(800 * c.rng.lognormvariate(0, 1))
            await session.exchange(upload, size)
            await c.pause(c.rng.choice((0.1, 1.0, 4.0)))


async def look_up(c: Client) -> None:
    """Look names up, some in vain, some TXT."""
    kind = c.rng.choice((payloads.A, payloads.A, payloads.AAAA, payloads.TXT))
    name = payloads.host_name(c.rng)
    if kind == payloads.TXT:
        name = c.rng.choice(("_spf.", "_dmarc.", f"s{c.rng.randrange(99)}._domainkey.")) + name
    elif c.rng.random() < 0.1:
        name = "nx" + name
    async with c.socket(c.address("dns")) as server:
        await server.ask(payloads.dns_query(c.rng, name, kind))


async def ask_reputation(c: Client) -> None:
    """Ask a virus scanner's cloud about file hashes, as long DNS names (looks like a tunnel)."""
    kind = c.rng.choice((payloads.A, payloads.TXT))
    async with c.socket(c.address("dns")) as server:
        for _ in range(c.rng.choice((1, 1, 2, 3))):
            digest = c.rng.randbytes(c.rng.choice((16, 20, 32))).hex()
            name = f"{digest[:40]}.{digest[40:] or 'f'}.rep.scanner.example"
            await server.ask(payloads.dns_query(c.rng, name, kind))


async def send_mail(c: Client) -> None:
    """Hand one mail in, at times with an attachment."""
    async with c.connect(c.address("smtp")) as (reader, writer):
        await reader.readline()
        writer.write(f"EHLO {payloads.word(c.rng)}.test\r\n".encode())
        while not (await reader.readline()).startswith(b"250 "):
            pass
        lines = [f"MAIL FROM:<{payloads.word(c.rng)}@office.test>"]
        for _ in range(c.rng.choice((1, 1, 2, 5))):
            lines.append(f"RCPT TO:<{payloads.word(c.rng)}@{payloads.word(c.rng)}.test>")
        for line in [*lines, "DATA"]:
            writer.write(line.encode() + b"\r\n")
            await reader.readline()
        size = int(min(1_200 * c.rng.lognormvariate(0, 1.3), 60_000))
        body = payloads.text(c.rng, size)
        lines = [body[i : i + 76].decode() for i in range(0, size, 76)]
        writer.write("\r\n".join([*lines, ".", ""]).encode())
        await reader.readline()
        writer.write(b"QUIT\r\n")
        await reader.readline()


async def poll_mail(c: Client) -> None:
    """Ask the mailbox for news; fetch some; at times stay idle on the connection."""
    async with c.connect(c.address("imap")) as (reader, writer):
        await reader.readline()
        commands = [f"LOGIN {payloads.word(c.rng)} {payloads.word(c.rng)}", "SELECT INBOX"]
        commands += ["FETCH 1 BODY[]"] * c.rng.choice((0, 0, 0, 1, 3))
        commands += ["NOOP"] * c.rng.choice((0, 0, 1, 4)) + ["LOGOUT"]
        for i, command in enumerate(commands):
            if command == "NOOP":
                await c.pause(5)
            writer.write(f"a{i} {command}\r\n".encode())
            while not (await reader.readline()).startswith(b"a%d OK" % i):
                pass


async def share_files(c: Client) -> None:
    """Fetch and store files on the file server, from notes to disk images in miniature."""
    async with c.connect(c.address("files")) as (reader, writer):
        await reader.readline()
        for _ in range(c.rng.choice((1, 1, 2, 4))):
            size = int(min(6_000 * c.rng.lognormvariate(0, 1.5), 120_000))
            name = payloads.word(c.rng)
            if c.rng.random() < 0.6:
                writer.write(f"GET {name} {size}\n".encode())
                await reader.readline()
                await reader.readexactly(size)
            else:
                writer.write(f"PUT {name} {size}\n".encode() + c.rng.randbytes(size))
                await reader.readline()
            await c.pause(0.5)


async def log_in(c: Client, *, failures: int, gives_up: bool, typing_s: float) -> None:
    """Open an ssh-like session; type a little unless it gives up after the failures.

    ``typing_s`` is the mean time a password takes.
    """
    async with c.connect(c.address("shell")) as (reader, writer):
        writer.write(f"SSH-2.0-Client_{c.rng.choice(('9.2', '8.4p1', '9.6-patched'))}\r\n".encode())
        await reader.readline()
        await read_packet(reader)
        writer.write(packet(c.rng.randbytes(c.rng.randint(700, 1500))))
        writer.write(packet(c.rng.randbytes(c.rng.choice((48, 64, 1200)))))
        await read_packet(reader)
        attempts = [1] * failures + [0] * (not gives_up)
        for first in attempts:
            await c.pause(typing_s)
            size = c.rng.choice((60, 76, 92, 148, 480))
            writer.write(packet(bytes([2 * c.rng.randrange(127) + first]) + c.rng.randbytes(size)))
            await read_packet(reader)
        if gives_up:
            return
        for _ in range(int(min(12 * c.rng.lognormvariate(0, 1), 90))):
            writer.write(packet(c.rng.randbytes(c.rng.choice((36, 36, 36, 44, 100)))))
            await read_packet(reader)
            await c.pause(c.rng.choice((0.08, 0.2, 1.5)))


async def work_remotely(c: Client) -> None:
    """Log in and type; a mistyped password now and then, rarely so often that one gives up."""
    failures = c.rng.choice((0, 0, 0, 0, 0, 1, 1, 2, 3))
    await log_in(c, failures=failures, gives_up=failures == 3, typing_s=1.8)


async def run_job(c: Client) -> None:
    """Run a scheduled remote job whose old key is refused more often than not."""
    await log_in(c, failures=1, gives_up=c.rng.random() < 0.6, typing_s=0.05)


async def set_clock(c: Client) -> None:
    """Ask the time server."""
    async with c.socket(c.address("ntp")) as server:
        for _ in range(c.rng.choice((1, 1, 4))):
            await server.ask(b"\x23" + bytes(39) + c.rng.randbytes(8))


async def report(c: Client, writer: asyncio.StreamWriter, body: bytes) -> None:
    """Write a small HTTP request; its body goes in a packet of its own at times."""
    path = f"/chk/{payloads.word(c.rng)}?{c.rng.getrandbits(c.rng.choice((16, 64))):x}"
    head = payloads.request_head(c.rng, "POST" if body else "GET", path, len(body))
    if c.rng.random() < 0.4:
        writer.write(head)
        await c.pause(0.01)
        head = b""
    writer.write(head + body)


async def check_in(c: Client) -> None:
    """Send a small report of a program to its maker (looks like a beacon)."""
    async with c.connect(c.address("cloud_http")) as (reader, writer):
        for _ in range(c.rng.choice((1, 1, 1, 2))):
            await report(c, writer, payloads.text(c.rng, c.rng.choice((0, 40, 160, 600))))
            await _fetch(c, reader)


async def back_up(c: Client) -> None:
    """Send a part of a backup to a hosting provider (looks like exfiltration)."""
    async with c.connect(c.address("cloud")) as (reader, writer):
        session = TlsLike(c.rng, reader, writer)
        await session.handshake()
        for _ in range(c.rng.choice((1, 2, 3))):
            size = int(min(26_000 * c.rng.lognormvariate(0, 0.9), 150_000))
            await session.exchange(size, c.rng.randint(80, 900), c.rng.choice((0.0, 0.05)))


async def follow_events(c: Client) -> None:
    """Keep a connection open on which little happens, or wait for one late answer."""
    async with c.connect(c.address(c.rng.choice(("site", "wiki")))) as (reader, writer):
        path = c.rng.choice(("/events/", "/poll/")) + payloads.word(c.rng)
        writer.write(payloads.request_head(c.rng, "GET", path))
        await asyncio.wait_for(reader.read(-1), c.rng.uniform(10, 90))


async def fill_slow_form(c: Client) -> None:
    """Write a request in dribs over a bad link (looks like slow HTTP)."""
    async with c.connect(c.address(c.rng.choice(("intranet", "site")))) as (reader, writer):
        body = payloads.text(c.rng, c.rng.randint(200, 3_000))
        request = payloads.request_head(c.rng, "POST", "/form/a", len(body)) + body
        while request:
            step = c.rng.randint(30, 600)
            writer.write(request[:step])
            request = request[step:]
            await c.pause(2.5)
        await _fetch(c, reader)


async def stream_readings(c: Client) -> None:
    """Write a sensor's short lines into one long request, often never finished (as slow HTTP)."""
    async with c.connect(c.address(c.rng.choice(("intranet", "wiki")))) as (reader, writer):
        lines = [
            f"{payloads.word(c.rng)}: {c.rng.getrandbits(8 * c.rng.randint(1, 14))}\r\n".encode()
            for _ in range(c.rng.randint(2, 14))
        ]
        size = sum(map(len, lines))
        writer.write(payloads.request_head(c.rng, "POST", "/log/" + payloads.word(c.rng), size))
        for line in lines[: None if c.rng.random() < 0.5 else -1]:
            await c.pause(2.6)
            writer.write(line)
        if c.rng.random() < 0.8:
            await asyncio.wait_for(_fetch(c, reader), 3)


async def try_broken(c: Client) -> None:
    """Knock at a service that is down or behind a firewall, a few times."""
    silent = f"{c.site.lan}{SILENT_OCTET}"
    down = [(host, c.rng.choice((631, 8443, 9100))) for host, _ in c.site.addresses("files")]
    address = c.rng.choice([*down, (silent, 9100)])
    for _ in range(c.rng.choice((1, 2, 3))):
        try:
            async with c.connect(address):
                pass
        except GONE:
            await c.pause(0.6)


async def watch_services(c: Client) -> None:
    """Touch every TCP service in turn, as a monitor does (looks like a scan)."""
    names = ("intranet", "wiki", "smtp", "imap", "files", "shell", "cloud")
    targets = [c.address(name) for name in names] + [(*c.address("files")[:1], 631)]
    for address in c.rng.sample(targets, len(targets)):
        try:
            async with c.connect(address) as (reader, _):
                if c.rng.random() < 0.5:
                    await asyncio.wait_for(reader.read(200), 0.3)
        except GONE:
            continue


DESK: Mapping[Behaviour, float] = {
    browse: 9,
    browse_secure: 7,
    look_up: 2.2,
    ask_reputation: 20,
    send_mail: 40,
    poll_mail: 18,
    share_files: 40,
    work_remotely: 45,
    run_job: 60,
    set_clock: 32,
    check_in: 14,
    back_up: 80,
    follow_events: 45,
    fill_slow_form: 75,
    stream_readings: 55,
    try_broken: 40,
}
"""Behaviour of a desk: mean pause in seconds between two turns."""

MONITOR: Mapping[Behaviour, float] = {watch_services: 12, look_up: 8, check_in: 6, set_clock: 16}


async def live(client: Client, habits: Mapping[Behaviour, float], turns: int = 10_000) -> None:
    """Run every habit in its own loop until cancelled, or for so many turns each.

    Each host has its own tempo: every mean pause is scaled by 0.6 to 1.8. Fixed-period
    programs (``check_in``, ``set_clock``) keep their period with 5 to 25 % jitter.
    """
    rng = client.rng

    async def repeat(behaviour: Behaviour, mean_s: float) -> None:
        own = Client(random.Random(rng.getrandbits(64)), client.site)
        regular, jitter = behaviour in (check_in, set_clock), own.rng.uniform(0.05, 0.25)
        await asyncio.sleep(own.rng.uniform(0, mean_s))
        for _ in range(turns):
            with suppress(*GONE):
                await behaviour(own)
            if regular:
                await asyncio.sleep(mean_s * own.rng.uniform(1 - jitter, 1 + jitter))
            else:
                await own.pause(mean_s)

    scaled = {behaviour: mean_s * rng.uniform(0.6, 1.8) for behaviour, mean_s in habits.items()}
    await asyncio.gather(*(repeat(behaviour, mean_s) for behaviour, mean_s in scaled.items()))
