"""Adds up the packets of flows, each flow's packets lying together in order of capture."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inoculate.features.byte_statistics import byte_statistics
from inoculate.features.flows.flow_state import LARGEST, NEVER, SIDES, SIZES, State, new_state
from inoculate.features.flows.packets import ACK, FIN, PSH, RST, SYN, URG, Bytes, Ints, Packets

_WHOLE_FLAGS = {"syn": SYN, "rst": RST, "psh": PSH, "ack": ACK, "urg": URG}
_NO_GAP = -1


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """n packets of one block, flow by flow.

    Attributes:
        data: the block that ``payload_at`` points into.
        time: (n,) ticks.
        side: (n,) which endpoint sent it, 0 or 1.
        flags, ip_bytes, payload, payload_at, payload_captured: (n,) as in ``Packets``.
    """

    data: Bytes
    time: Ints
    side: Ints
    flags: Ints
    ip_bytes: Ints
    payload: Ints
    payload_at: Ints
    payload_captured: Ints

    @classmethod
    def of(cls, packets: Packets, order: Ints, clock: Ints, side: Ints, data: Bytes) -> "Run":
        """Return the packets in another order."""
        p = packets
        columns = (p.flags, p.ip_bytes, p.payload, p.payload_at, p.payload_captured)
        return cls(data, clock[order], side[order], *(c[order] for c in columns))


def add_up(run: Run, starts: Ints, orig_side: Ints, rows: Ints, earlier: State) -> State:
    """Return the sums of k flows.

    Args:
        run: n packets.
        starts: (k,) where each flow's packets start.
        orig_side: (k,) the originator's side.
        rows: flows that go on from earlier packets.
        earlier: the state of these flows; gaps reach back to it, nothing else is added.
    """
    state = new_state(len(starts))
    counts = np.diff(np.append(starts, len(run.time)))
    flow = np.repeat(np.arange(len(starts)), counts)
    everything = np.arange(len(starts))
    state["orig_side"] = orig_side
    state["first"], state["last"] = run.time[starts], run.time[starts + counts - 1]
    _add_gaps(state, "", everything, starts, run.time, _of(earlier["last"], rows, len(starts)))
    for name, bit in _WHOLE_FLAGS.items():
        state[name] = np.add.reduceat((run.flags & bit > 0).astype(np.int64), starts)
    received = run.side != orig_side[flow]
    before = earlier["orig_data"] + earlier["resp_data"]
    _add_sizes(state, flow, run.payload, received, _of(before, rows, len(starts)))
    for side, mask in zip(SIDES, (~received, received), strict=True):
        at = np.flatnonzero(mask)
        if len(at):
            last = _of(earlier[f"{side}_last"], rows, len(starts))
            _add_side(state, side, run, at, flow[at], last)
            had = _of(earlier[f"{side}_data"], rows, len(starts)) > 0
            _add_first_payload(state, side, run, at, flow[at], had)
    return state


def _of(values: Ints, rows: Ints, n: int) -> Ints:
    spread = np.zeros(n, np.int64)
    spread[rows] = values
    return spread


def _add_side(state: State, side: str, run: Run, at: Ints, flow: Ints, last: Ints) -> None:
    """Add the packets ``at``, which one side sent; ``last`` (k,) is when it sent before."""
    starts = _run_starts(flow)
    rows = flow[starts]
    payload, flags, time = run.payload[at], run.flags[at], run.time[at]
    ends = np.append(starts[1:], len(at))
    kind = flags & (SYN | ACK | FIN | RST)
    sums = {
        "ip": run.ip_bytes[at],
        "bytes": payload,
        "squares": payload * payload,
        "data": payload > 0,
        "fin": flags & FIN > 0,
        "asked": kind == SYN,
        "agreed": kind == SYN | ACK,
    }
    for name, values in sums.items():
        state[f"{side}_{name}"][rows] = np.add.reduceat(values.astype(np.int64), starts)
    state[f"{side}_pkts"][rows] = ends - starts
    state[f"{side}_len_min"][rows] = np.minimum.reduceat(payload, starts)
    state[f"{side}_len_max"][rows] = np.maximum.reduceat(payload, starts)
    state[f"{side}_first"][rows], state[f"{side}_last"][rows] = time[starts], time[ends - 1]
    _add_gaps(state, f"{side}_", rows, starts, time, last[rows])


def _add_gaps(state: State, prefix: str, rows: Ints, starts: Ints, time: Ints, last: Ints) -> None:
    """Add the gaps between packets; the first one's reaches back to ``last`` or is none."""
    gap = np.empty(len(time), np.int64)
    gap[1:] = time[1:] - time[:-1]
    gap[starts] = np.where(last == NEVER, _NO_GAP, time[starts] - last)
    known = gap != _NO_GAP
    state[f"{prefix}gap2"][rows] = np.add.reduceat(np.where(known, gap * gap, 0), starts)
    state[f"{prefix}gap_min"][rows] = np.minimum.reduceat(np.where(known, gap, LARGEST), starts)
    state[f"{prefix}gap_max"][rows] = np.maximum(np.maximum.reduceat(gap, starts), 0)


def _add_sizes(
    state: State, flow: Ints, payload: Ints, received: npt.NDArray[np.bool_], before: Ints
) -> None:
    """Note the first payloads' sizes; ``before`` (k,) counts those of earlier packets."""
    at = np.flatnonzero(payload > 0)
    if not len(at):
        return
    owner = flow[at]
    starts = _run_starts(owner)
    rank = np.arange(len(at)) - np.repeat(starts, np.diff(np.append(starts, len(at))))
    rank += before[owner]
    signed = np.where(received[at], -payload[at], payload[at])
    for i, name in enumerate(SIZES):
        rows = rank == i
        state[name][owner[rows]] = signed[rows]


def _add_first_payload(
    state: State, side: str, run: Run, at: Ints, flow: Ints, had: npt.NDArray[np.bool_]
) -> None:
    """Describe the bytes of one side's first payload, unless an earlier packet had one."""
    full = run.payload[at] > 0
    at, flow = at[full], flow[full]
    if not len(at):
        return
    starts = _run_starts(flow)
    starts = starts[~had[flow[starts]]]
    packet = at[starts]
    entropy, printable = byte_statistics(
        run.data, run.payload_at[packet], run.payload_captured[packet]
    )
    state[f"{side}_entropy"][flow[starts]] = entropy
    state[f"{side}_printable"][flow[starts]] = printable


def _run_starts(flow: Ints) -> Ints:
    """Return where each run of equal values starts."""
    return np.flatnonzero(np.append(True, flow[1:] != flow[:-1]))
