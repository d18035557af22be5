"""Packets to flows: the statistics of open flows, block by block, in bounded memory.

Packets are sorted by a mixed key of their unordered endpoints, cut into flows
(``flow_boundaries``) and each flow's packets are added up (``flow_sums``). Between blocks only
the partial sums of open flows are kept (``flow_state``). The result does not depend on how a
capture is cut into blocks, its order included: flows come out in the order of the packet at
which they are known to be over. Only the bound on open flows is applied once a block.

Two times are kept apart. A flow's own time is that of its packets, never running backwards
within the flow; all statistics are in it. The capture's clock tells which flows are over though
no packet of theirs says so; it never runs backwards, and a jump by more than the active timeout,
either way, counts as that timeout, so that one wrong time does not stop it. A flow was quiet for
as long as either of the two says.
"""

from dataclasses import dataclass

import numpy as np

from inoculate.features.flows.flow_boundaries import (
    FOREVER,
    LINGER_S,
    Rules,
    find_closes,
    is_closed,
    never_back,
    split_long,
)
from inoculate.features.flows.flow_state import State, add_earlier, concat, new_state, take
from inoculate.features.flows.flow_sums import Run, add_up
from inoculate.features.flows.flow_table import NO_ROW, FlowTable
from inoculate.features.flows.packets import ACK, SYN, Bytes, Ints, Mask, Packets, Words

_LONGEST_TICKS = 3_000_000_000  # its square fits in 63 bits


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """One block's m keys and n packets; keys in increasing order, packets sorted by key."""

    run: Run
    gap: Ints  # (n,) ticks since the key's packet before, FOREVER without one
    order: Ints  # (n,) a packet's place in the capture's order
    key_starts: Ints  # (m,)
    carried: Ints  # (m,) the key's row among open flows, or NO_ROW
    clock: Ints  # (n,) ticks of the capture's clock, in the capture's order


@dataclass(frozen=True, slots=True, eq=False)
class _Cuts:
    """How one block's n packets of m keys fall into k segments."""

    starts: Ints  # (k,) where segments start
    begins: Mask  # (n,) packets that begin a flow; a segment's first may instead carry one on
    inherits: Mask  # (n,) packets that begin a flow because the one before became too old
    closed: Mask  # (n,) packets after a pause, or SYNs, whose key was closed before
    closing: Ints  # (m,) each key's state after its packets


class FlowMeter:
    """Adds up packets into flows.

    Args:
        idle_timeout_s: a flow quiet for so long is over.
        active_timeout_s: a flow as old as this is cut; at least the idle timeout.
        tcp_close: whether FIN, RST and SYN end flows.
        salt: mixed into keys, 64 bits, so that nobody can make endpoints collide.
        most_open: open flows kept; beyond that those quiet the longest are given out early.

    Attributes:
        tick_us: length of a tick, 1 unless the active timeout is over 50 min.
        given_early: flows given out early so far.
    """

    def __init__(
        self,
        *,
        idle_timeout_s: float = 120.0,
        active_timeout_s: float = 1800.0,
        tcp_close: bool = True,
        salt: int = 0,
        most_open: int = 500_000,
    ) -> None:
        self.tick_us = max(1, -int(-active_timeout_s * 1e6 // _LONGEST_TICKS))
        idle, active, linger = (
            max(1, round(s * 1e6 / self.tick_us))
            for s in (idle_timeout_s, active_timeout_s, LINGER_S)
        )
        self.rules = Rules(idle, max(idle, active), min(linger, idle), tcp_close)
        self.salt = salt
        self.most_open = most_open
        self.given_early = 0
        self._open = FlowTable()
        self._time_us: int | None = None
        self._drift_us = self._clock_us = self.tick_us

    def add(self, packets: Packets, time_us: Ints, number: Ints, data: Bytes) -> State:
        """Return the flows that are known to be over after these packets.

        Args:
            packets: n decoded packets of one block.
            time_us: (n,) microseconds since 1970.
            number: (n,) of each packet in the capture.
            data: the block that ``payload_at`` points into.
        """
        if not len(packets):
            return new_state(0)
        clock = self._read_clock(time_us)
        key, ends, side = _mixed_keys(packets, self.salt)
        order = np.argsort(key, kind="stable")
        key_starts = _changes(key[order])
        carried = self._open.find(key[order[key_starts]])
        time = time_us // self.tick_us + 1
        gap = self._quiet(time[order], clock[order], key_starts, carried)
        run = Run.of(packets, order, time, side, data)
        block = _Block(run, gap, order, key_starts, carried, clock)
        cuts = self._cut(block)
        goes_on, orig_side = self._originators(block, cuts)
        rows = np.flatnonzero(goes_on != NO_ROW)
        earlier = self._open.take(goes_on[rows])
        state = add_up(run, cuts.starts, orig_side, rows, earlier)
        first = order[cuts.starts]
        for name, column in {**ends, "key": key, "number": number, "time_us": time_us}.items():
            state[name] = column[first]
        final = order[np.append(cuts.starts[1:], len(order)) - 1]
        state["seen"], state["newest"] = clock[final], time[final]
        add_earlier(state, rows, earlier)
        return self._settle(block, cuts, state, goes_on)

    def flush(self) -> State:
        """Return all flows that are still open, in order of their first packets."""
        rest = self._open.take(self._open.rows())
        self._open = FlowTable()
        return take(rest, np.argsort(rest["number"], kind="stable"))

    def _read_clock(self, time_us: Ints) -> Ints:
        """Advance the capture's clock over n packets' times; return it at each, in ticks."""
        longest = self.rules.active * self.tick_us
        before = time_us[0] if self._time_us is None else self._time_us
        steps = np.clip(np.diff(time_us, prepend=before), -longest, longest)
        drift = self._drift_us + np.cumsum(steps)
        clock = np.maximum.accumulate(np.maximum(drift, self._clock_us))
        self._time_us = int(time_us[-1])
        self._drift_us, self._clock_us = int(drift[-1]), int(clock[-1])
        return clock // self.tick_us

    def _quiet(self, time: Ints, clock: Ints, key_starts: Ints, carried: Ints) -> Ints:
        """Return how long each packet's key was quiet before it, by its times or the clock."""
        known = carried != NO_ROW
        at, rows = key_starts[known], carried[known]
        gap, quiet = np.diff(time, prepend=0), np.diff(clock, prepend=0)
        gap[at] = time[at] - self._open.column("newest", rows)
        quiet[at] = clock[at] - self._open.column("seen", rows)
        gap = np.maximum(gap, quiet)
        gap[key_starts[~known]] = FOREVER
        return gap

    def _cut(self, block: _Block) -> _Cuts:
        """Find where flows begin."""
        run, key_starts, carried = block.run, block.key_starts, block.carried
        known = carried != NO_ROW
        before = np.zeros_like(key_starts)
        before[known] = self._open.column("closing", carried[known])
        begins, closed, closing = find_closes(
            block.gap, run.flags, run.side, key_starts, before, self.rules
        )
        cut = begins.copy()
        cut[key_starts] = True
        starts = np.flatnonzero(cut)
        on = known & ~begins[key_starts]
        began, reached = run.time[starts], np.zeros_like(starts)
        rows = np.searchsorted(starts, key_starts[on])
        began[rows] = self._open.column("first", carried[on])
        reached[rows] = self._open.column("last", carried[on])
        never_back(run.time, starts, reached)
        inherits = np.zeros_like(begins)
        inherits[split_long(run.time, starts, began, self.rules.active)] = True
        return _Cuts(np.flatnonzero(cut | inherits), begins | inherits, inherits, closed, closing)

    def _originators(self, block: _Block, cuts: _Cuts) -> tuple[Ints, Ints]:
        """Return which open flow each segment carries on, (k,), and its originator's side."""
        run, starts = block.run, cuts.starts
        answers = run.flags[starts] & (SYN | ACK) == SYN | ACK
        side = run.side[starts] ^ answers
        carried = np.full(len(run.time), NO_ROW)
        carried[block.key_starts] = block.carried
        carried = carried[starts]
        goes_on = np.where(cuts.begins[starts], NO_ROW, carried)
        inherits = cuts.inherits[starts]
        of_open = (carried != NO_ROW) & (inherits | (goes_on != NO_ROW))
        side[of_open] = self._open.column("orig_side", carried[of_open])
        source = np.where(inherits & ~of_open, 0, np.arange(len(starts)))
        return goes_on, side[np.maximum.accumulate(source)]

    def _settle(self, block: _Block, cuts: _Cuts, state: State, goes_on: Ints) -> State:
        """Keep the flows that stay open, return the others in the order of becoming known."""
        n = len(block.order)
        last = np.searchsorted(cuts.starts, np.append(block.key_starts[1:], n)) - 1
        state["closing"][last] = cuts.closing
        # Which packet begins the next flow of the same key; n where there is none.
        after = np.append(cuts.starts[1:], n)
        after[last] = n
        closed = np.append(cuts.closed, False)[after] | is_closed(state["closing"]) & (after == n)
        known_at = self._known_at(block, after, state["seen"], closed)
        ended = (block.carried != NO_ROW) & cuts.begins[block.key_starts]
        rows, nexts = block.carried[ended], block.key_starts[ended]
        old = self._open.take(rows)
        old_known_at = self._known_at(block, nexts, old["seen"], cuts.closed[nexts])
        stays = known_at == n
        carries_on = goes_on != NO_ROW
        kept = stays & carries_on
        self._open.put(goes_on[kept], take(state, kept))
        self._open.remove(np.concatenate([rows, goes_on[~stays & carries_on]]))
        quiet = self._open.due(int(block.clock[-1]), self.rules.idle, self.rules.linger)
        given_up = self._open.take(quiet)
        nobody = np.full(len(quiet), n)
        quiet_known_at = self._known_at(
            block, nobody, given_up["seen"], is_closed(given_up["closing"])
        )
        self._open.remove(quiet)
        self._open.add(take(state, stays & ~carries_on))
        over = concat([take(state, ~stays), old, given_up])
        when = np.concatenate([known_at[~stays], old_known_at, quiet_known_at])
        over = take(over, np.lexsort((over["number"], when)))
        return self._overflow(over)

    def _known_at(self, block: _Block, after: Ints, seen: Ints, closed: Mask) -> Ints:
        """Return the packet, in the capture's order, at which each flow is known to be over.

        Args:
            block: n packets.
            after: (k,) the first packet of the key's next flow, in the order of keys; n for none.
            seen: (k,) when each flow was last seen, by the capture's clock.
            closed: (k,) whether it was closed by then.
        """
        limit = np.where(closed, self.rules.linger, self.rules.idle)
        due = np.searchsorted(block.clock, seen + limit)
        known_at: Ints = np.minimum(np.append(block.order, len(block.order))[after], due)
        return known_at

    def _overflow(self, over: State) -> State:
        """Return these flows and the open ones beyond the bound, those quiet the longest."""
        excess = len(self._open) - self.most_open
        if excess <= 0:
            return over
        rows = self._open.quietest(excess)
        early = self._open.take(rows)
        self._open.remove(rows)
        self.given_early += excess
        return concat([over, take(early, np.argsort(early["number"], kind="stable"))])


def _changes(values: Words) -> Ints:
    return np.flatnonzero(np.append(True, values[1:] != values[:-1]))


def _mixed_keys(p: Packets, salt: int) -> tuple[Words, dict[str, Words], Ints]:
    """Return (n,) keys of unordered endpoints, what they stand for, and the sender's side."""
    ports = [x.astype(np.uint64) for x in (p.sport, p.dport)]
    later = p.src_lo > p.dst_lo
    same = p.src_lo == p.dst_lo
    later |= same & ((p.src_hi > p.dst_hi) | ((p.src_hi == p.dst_hi) & (p.sport > p.dport)))
    ends = {
        "a_hi": np.where(later, p.dst_hi, p.src_hi),
        "a_lo": np.where(later, p.dst_lo, p.src_lo),
        "b_hi": np.where(later, p.src_hi, p.dst_hi),
        "b_lo": np.where(later, p.src_lo, p.dst_lo),
    }
    low, high = np.where(later, ports[1], ports[0]), np.where(later, ports[0], ports[1])
    rest = (p.proto << 24 | p.vlan).astype(np.uint64)
    ends["tag"] = low << np.uint64(48) | high << np.uint64(32) | rest
    key = np.full(len(p), salt & 0xFFFF_FFFF_FFFF_FFFF, np.uint64)
    for word in ends.values():
        key = _mix(key ^ word)
    return key, ends, later.astype(np.int64)


def _mix(x: Words) -> Words:
    """Return Stafford's variant 13 of the MurmurHash3 finalizer, a bijection of 64-bit words."""
    x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return x ^ x >> np.uint64(31)
