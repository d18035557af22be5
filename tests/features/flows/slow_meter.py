"""Flow boundaries one packet at a time, in plain Python: what the columnar meter must equal."""

from dataclasses import dataclass, field

FIN, SYN, RST, ACK = 1, 2, 4, 16


@dataclass
class Flow:
    """An open flow and its packets' numbers."""

    packets: list[int]
    originator: object
    first: int
    last: int
    newest: int
    seen: int


@dataclass
class Key:
    """What outlives a flow's end by age: how its TCP connection closes."""

    flow: Flow | None = None
    fins: set = field(default_factory=set)
    rst: bool = False
    pending: bool = False


def slow_flows(packets, *, idle, active, linger=5_000_000, tcp_close=True):
    """Return [(packet numbers, originator)] of flows in the order of their first packets.

    Args:
        packets: (time in microseconds, source, destination, protocol, flags) each.
        idle, active, linger: in microseconds.
    """
    keys, done, drift, clock, before = {}, [], 0, 0, None
    for number, (now, src, dst, proto, flags) in enumerate(packets, start=1):
        step = 0 if before is None else now - before
        before, drift = now, drift + min(max(step, -active), active)
        clock = max(clock, drift)
        key = keys.setdefault((frozenset((src, dst)), proto), Key())
        flow, flags = key.flow, flags if proto == 6 else 0
        syn = flags & (SYN | ACK | FIN | RST) == SYN
        quiet = max(now - flow.newest, clock - flow.seen) if flow else None
        ends = inherits = False
        if flow:
            shut = tcp_close and quiet >= linger and (key.rst or len(key.fins) == 2)
            ends = quiet >= idle or shut or (tcp_close and syn and key.pending)
            inherits = not ends and max(now, flow.last) - flow.first >= active
        if flow is None or (quiet >= linger) or syn:
            key.fins, key.rst = set(), False
        if flow is None or ends or syn:
            key.pending = False
        if flow is None or ends or inherits:
            origin = flow.originator if inherits else src
            if not inherits and flags & (SYN | ACK) == SYN | ACK:
                origin = dst
            key.flow = flow = Flow([], origin, now, now, now, clock)
            done.append(flow)
        flow.packets.append(number)
        flow.last, flow.newest, flow.seen = max(flow.last, now), now, clock
        key.fins |= {src} if flags & FIN else set()
        key.rst |= bool(flags & RST)
        key.pending |= bool(flags & (FIN | RST))
    return [(f.packets, f.originator) for f in done]
