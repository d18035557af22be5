"""Where one flow ends and the next one of the same key begins.

A packet starts a new flow when

* its key was quiet for the idle timeout or longer, or
* the flow began the active timeout or longer ago, or
* (TCP close) it is a pure SYN after a FIN or RST since the last pure SYN or other boundary, or
* (TCP close) its key was quiet for ``LINGER_S`` or longer and closed before that: since the last
  such pause or pure SYN there was a RST, or a FIN from both sides.

The last two depend only on what lies between neighbouring pauses and SYNs, so they are decided
for all packets at once. The active timeout depends on where a flow began: only flows longer than
it are walked, from one boundary to the next by binary search.

Reference:
    Claise et al., "Specification of the IP Flow Information Export (IPFIX) Protocol",
    RFC 7011, section 2, and RFC 5470, section 5.1.1 (criteria of flow expiration).
"""

from dataclasses import dataclass

import numpy as np

from inoculate.features.flows.packets import ACK, FIN, RST, SYN, Ints, Mask

LINGER_S = 5
FOREVER = 1 << 62
_BOTH_FINS, _RST, _PENDING = 3, 4, 8


@dataclass(frozen=True, slots=True)
class Rules:
    """When flows end; times in ticks of the flow clock."""

    idle: int
    active: int
    linger: int
    tcp_close: bool


def is_closed(state: Ints) -> Mask:
    """Return which flows were closed since the last pause, by their TCP state."""
    closed: Mask = (state & _RST != 0) | (state & _BOTH_FINS == _BOTH_FINS)
    return closed


def find_closes(
    gap: Ints, flags: Ints, side: Ints, key_starts: Ints, before: Ints, rules: Rules
) -> tuple[Mask, Mask, Ints]:
    """Return where flows begin for idleness or TCP close, which were closed before that, states.

    The second mask is set at packets after a pause or at a pure SYN whose key was closed before
    it; the last array (m,) is the state of each key after its packets.

    Args:
        gap: (n,) ticks since the packet before of the same key, ``FOREVER`` without one;
            packets lie key by key, in order of capture.
        flags: (n,) TCP flags.
        side: (n,) 0 or 1, which endpoint sent it.
        key_starts: (m,) where each key's packets begin.
        before: (m,) what this function returned for the key's packets before these, else 0.
        rules: timeouts; without ``tcp_close`` only idleness counts.
    """
    begins = gap >= rules.idle
    if not rules.tcp_close:
        return begins, np.zeros_like(begins), np.zeros_like(key_starts)
    bits = (flags & FIN) << side | (flags & RST)
    syn = flags & (SYN | ACK | FIN | RST) == SYN
    pause = gap >= rules.linger
    starts, since, stretch = _stretches(bits, syn | pause, key_starts, before & 7)
    closed = np.zeros_like(begins)
    closed[starts[is_closed(since)]] = True
    begins |= closed & pause
    pending = (before & _PENDING) >> 3
    begun, since, group = _stretches((bits > 0).astype(np.int64), syn | begins, key_starts, pending)
    begins[begun[(since > 0) & syn[begun]]] = True
    return begins, closed, stretch | group << 3


def _stretches(bits: Ints, cuts: Mask, key_starts: Ints, before: Ints) -> tuple[Ints, Ints, Ints]:
    """Return where stretches start, the bits of the stretch before each, and each key's last.

    A key's first stretch continues its earlier packets' (``before``) unless it starts with a cut.
    """
    first = np.zeros(len(bits), np.bool_)
    first[key_starts] = True
    starts = np.flatnonzero(cuts | first)
    inside = np.bitwise_or.reduceat(bits, starts)
    of_key = np.flatnonzero(first[starts])
    goes_on = ~cuts[key_starts]
    inside[of_key[goes_on]] |= before[goes_on]
    since = np.empty_like(inside)
    since[1:] = inside[:-1]
    since[of_key] = before
    return starts, since, inside[np.append(of_key[1:], len(starts)) - 1]


def never_back(time: Ints, starts: Ints, reached: Ints) -> None:
    """Replace times by the largest so far in their flow, in place.

    Args:
        time: (n,) ticks.
        starts: (k,) where each flow's packets start.
        reached: (k,) the largest time of its earlier packets, 0 without any.
    """
    time[starts] = np.maximum(time[starts], reached)
    back = np.diff(time, prepend=0) < 0
    back[starts] = False
    ends = np.append(starts[1:], len(time))
    # Python steps: one a flow that is out of order.
    for i in np.unique(np.searchsorted(starts, np.flatnonzero(back), side="right") - 1).tolist():
        part = time[starts[i] : ends[i]]
        np.maximum.accumulate(part, out=part)


def split_long(time: Ints, starts: Ints, began: Ints, active: int) -> Ints:
    """Return where flows that reach the active timeout begin anew.

    Args:
        time: (n,) ticks of packets, not decreasing within a flow.
        starts: (k,) where each flow's packets start.
        began: (k,) when each flow began, earlier than its first packet here if carried over.
        active: timeout in ticks.
    """
    ends = np.append(starts[1:], len(time))
    cuts: list[int] = []
    for i in np.flatnonzero(time[ends - 1] - began >= active).tolist():
        at, end, begin = int(starts[i]), int(ends[i]), int(began[i])
        while True:
            at += int(np.searchsorted(time[at:end], begin + active))
            if at >= end:
                break
            cuts.append(at)
            begin = int(time[at])
    return np.array(cuts, np.int64)
