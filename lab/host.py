"""One host of the lab as a process: reads its plan from standard input, acts, and ends.

Started by ``make_captures`` inside a namespace. Ends by itself when its seconds are over: the
event loop stops, and should that ever fail, an alarm signal kills the process.
"""

import asyncio
import json
import random
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from lab import normal, servers
from lab.attacks import attack
from lab.client import Client
from lab.network import switch_offloads_off
from lab.office import Site

GRACE_S = 10
ETH_P_ALL = 3


def prepare(interfaces: list[str], timestamps: int) -> None:
    """Set this namespace's knobs: no offloads, no IPv6, TCP timestamps as on the host it plays."""
    for interface in interfaces:
        switch_offloads_off(interface)
        Path(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6").write_text("1")
    Path("/proc/sys/net/ipv4/tcp_timestamps").write_text(str(timestamps))
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("32768 60999")


async def play(plan: dict[str, Any]) -> None:
    """Serve, live and attack as the plan says, for its seconds."""
    site = Site(**plan["site"])
    tasks = []
    started = await servers.start(plan["serves"], site, plan["seed"]) if plan["serves"] else []
    if plan["habits"]:
        habits = normal.MONITOR if plan["habits"] == "monitor" else normal.DESK
        client = Client(random.Random(f"{plan['seed']}/{plan['own']}"), site)
        tasks.append(asyncio.create_task(normal.live(client, habits)))
    for name, how in plan["attacks"].items():
        seed = f"{plan['seed']}/{name}"
        tasks.append(asyncio.create_task(attack(name, site, plan["own"], seed, how)))
    await asyncio.sleep(plan["seconds"])
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
    for server in started:
        server.close()


def delay_of(frame: bytes, rng: random.Random) -> tuple[int, float]:
    """Return the far address's last octet and the one-way delay in seconds of a frame.

    Every outside address has its own distance, 4 to 40 ms, and 10 % jitter.
    """
    if frame[12:14] != b"\x08\x00" or len(frame) < 34:
        return 0, 0.002
    far = frame[33] if frame[26] == 10 else frame[29]  # the office's own side is 10.x
    return far, (4 + far * 7 % 37) / 1000 * rng.uniform(0.9, 1.1)


def relay(seconds: float, seed: int) -> None:
    """Carry frames between ``lan`` and ``far``, late as over a wide-area line, in order."""
    rng = random.Random(seed)
    ends = {}
    chooser = selectors.DefaultSelector()
    for name, other in (("lan", "far"), ("far", "lan")):
        ends[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        ends[name].bind((name, 0))
        ends[name].setblocking(False)
        chooser.register(ends[name], selectors.EVENT_READ, (name, other))
    stop, count = time.monotonic() + seconds, 0
    waiting: list[tuple[float, int, str, bytes]] = []
    last: dict[tuple[str, int], float] = {}
    while (now := time.monotonic()) < stop:
        while waiting and waiting[0][0] <= now:
            _, _, other, frame = heappop(waiting)
            with suppress(OSError):  # a full queue drops the frame, as any line does
                ends[other].send(frame)
        wait_s = min(waiting[0][0] - now if waiting else 0.05, 0.05)
        for key, _ in chooser.select(max(wait_s, 0)):
            came_in, other = key.data
            frame, sender = ends[came_in].recvfrom(2_000)
            if sender[2] == socket.PACKET_OUTGOING:
                continue
            far, delay_s = delay_of(frame, rng)
            due = max(now + delay_s, last.get((other, far), 0.0))
            last[other, far] = due
            count += 1
            heappush(waiting, (due, count, other, frame))


def main() -> None:
    """Read the plan and play it."""
    plan = json.load(sys.stdin)
    signal.alarm(int(plan["seconds"]) + GRACE_S)
    if plan["interfaces"]:
        prepare(plan["interfaces"], plan["timestamps"])
    if plan["serves"] == "line":
        relay(plan["seconds"], plan["seed"])
    else:
        asyncio.run(play(plan))


if __name__ == "__main__":
    main()
