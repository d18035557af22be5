"""Context of a flow: what its originator did just before.

Hosts and ports are grouping keys here, never columns. A window always ends with the flow itself
and never crosses originators, so over flows grouped by originator its first element never moves
backwards. That makes every column exact in O(n log n) whatever the hosts do: distinct values by
difference arrays, entropy and the spread of gaps by sums of whole numbers.

Order: flows of one batch are taken by ``ts`` (equal times as read), after all flows of earlier
batches; a flow that is older than the last one of its host in an earlier batch counts as if at
that one's time. For a source in order of time the result does not depend on the batches.

What is bounded: a 60 s window holds at most the last ``MAX_WINDOW`` flows of its host. Between
batches a host keeps the flows that a later window can reach, and all hosts together at most
``max_rows``; beyond that the oldest are forgotten.

A size class is ``floor(log2(1 + orig_bytes + resp_bytes))``, at most 31 (2 GiB and more), of the
IP bytes where both payloads are unknown: a beacon whose size varies by a few bytes still has
entropy 0. An unknown size, state, responder or port is left out of its column; a window without
any known one gives null.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.domain import Column
from inoculate.features.flows.windows import Counts, Gaps, entropy

Array = npt.NDArray[np.generic]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def _window(suffix: str, words: str) -> tuple[Column, ...]:
    return (
        Column(f"host_flows_{suffix}", "flow", f"flows of this host in {words}"),
        Column(f"host_responders_{suffix}", "host", f"hosts contacted in {words}"),
        Column(f"host_ports_{suffix}", "port", f"ports contacted in {words}"),
        Column(f"host_failed_{suffix}", "1", f"share of failed flows in {words}"),
        Column(f"host_size_entropy_{suffix}", "bit", f"entropy of flow sizes in {words}"),
        Column(f"host_gap_regularity_{suffix}", "1", f"regularity of gaps in {words}"),
    )


CONTEXT_COLUMNS: tuple[Column, ...] = (
    *(
        replace(column, context=True)
        for column in (*_window("60s", "its last 60 s"), *_window("100", "its last 100 flows"))
    ),
    # not marked as context: what cuts a threat's flows out of a day leaves these together
    Column("pair_gap_regularity_100", "1", "regularity of gaps to the same host and port"),
)

WINDOW_S = 60.0
WINDOW_FLOWS = 100
MAX_WINDOW = 10_000
"""Most flows that a 60 s window looks back on, the flow itself included."""

_LATEST_S = 1e11  # the year 5138; a time beyond is no time, and its square must not overflow
_TOP_CLASS = 31
_ODD = np.uint64(0x9E3779B97F4A7C15)  # odd multipliers mix three hashes into one
_ODDER = np.uint64(0xC2B2AE3D27D4EB4F)
_SLICE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Flows as arrays of one length; 0 or -1 means unknown."""

    host: npt.NDArray[np.uint64]  # hash of orig_h
    t: Floats
    resp: npt.NDArray[np.uint64]  # hash of resp_h, 0 unknown
    port: npt.NDArray[np.uint32]  # 1 + resp_p, 0 unknown
    failed: npt.NDArray[np.int8]
    size: npt.NDArray[np.int8]

    def take(self, rows: Array) -> "_Rows":
        return _Rows(*(getattr(self, f.name)[rows] for f in fields(self)))

    def then(self, other: "_Rows") -> "_Rows":
        names = [f.name for f in fields(self)]
        return _Rows(*(np.concatenate([getattr(self, k), getattr(other, k)]) for k in names))


class HostContext:
    """The flows of each originator that later windows can still reach.

    One object a source; ``add`` costs about half a microsecond a flow plus the flows kept of
    the hosts in the batch.

    Args:
        max_rows: flows kept between batches over all hosts (about 40 bytes each).
    """

    def __init__(self, *, max_rows: int = 500_000) -> None:
        self._max_rows = max_rows
        self._keep(_read_rows(pl.DataFrame({"ts": [], "orig_h": []})))

    @property
    def n_kept(self) -> int:
        """Number of flows kept for later batches."""
        return len(self._kept.t)

    def add(self, flows: pl.DataFrame) -> pl.DataFrame:
        """Return flows with the context columns added, in the order they came in.

        Args:
            flows: ``ts`` (s), ``orig_h``, ``resp_h``, ``resp_p``, ``failed`` (0 or 1),
                ``orig_bytes``, ``resp_bytes`` (or the IP bytes); absent or null means unknown.
                Without a time or an originator a flow has no context (null) and is in nobody's
                window.
        """
        out = np.full((len(CONTEXT_COLUMNS), flows.height), np.nan)
        if {"ts", "orig_h"} <= set(flows.columns):
            ts = flows["ts"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            usable = flows["orig_h"].is_not_null().to_numpy() & (np.abs(ts) < _LATEST_S)
            rows = np.flatnonzero(usable)
            new = _read_rows(flows if len(rows) == flows.height else flows[rows])
            for start in range(0, len(rows), _SLICE):
                part = slice(start, start + _SLICE)
                self._add(new.take(np.arange(len(rows))[part]), rows[part], out)
        return flows.with_columns(
            pl.Series(c.name, x).fill_nan(None) for c, x in zip(CONTEXT_COLUMNS, out, strict=True)
        )

    def _add(self, new: _Rows, rows: Ints, out: Floats) -> None:
        """Write the context of usable flows to columns ``rows`` of ``out``; keep the flows."""
        by_time = np.argsort(new.t, kind="stable")
        hosts, code = _codes(new.host)
        place = np.searchsorted(hosts, self._hosts)
        seen = hosts[np.minimum(place, len(hosts) - 1)] == self._hosts
        seen_rows = np.repeat(seen, self._lengths)
        kept, others = self._kept.take(seen_rows), self._kept.take(~seen_rows)
        n_kept = len(kept.t)

        in_time = np.concatenate([np.arange(n_kept), n_kept + by_time])
        code = np.concatenate([np.repeat(place[seen], self._lengths[seen]), code[by_time]])
        order = _stable_order(code, len(hosts))
        merged = kept.then(new).take(in_time[order])
        length = np.bincount(code, minlength=len(hosts))
        begin = np.cumsum(length) - length
        _never_backwards(merged.t, begin, length)

        asked = np.flatnonzero(order >= n_kept)
        target = rows[in_time[order[asked]] - n_kept]
        for i, values in enumerate(_contexts(merged, np.repeat(begin, length), asked)):
            out[i, target] = values
        self._keep(others.then(_reachable(merged, begin, length)))

    def _keep(self, rows: _Rows) -> None:
        """Remember rows grouped by host, the oldest dropped where they are too many."""
        surplus = len(rows.t) - self._max_rows
        if surplus > 0:
            mask = np.ones(len(rows.t), bool)
            mask[np.argsort(rows.t, kind="stable")[:surplus]] = False
            rows = rows.take(mask)
        first = np.flatnonzero(np.r_[True, rows.host[1:] != rows.host[:-1]][: len(rows.host)])
        self._kept, self._hosts = rows, rows.host[first]
        self._lengths = np.diff(first, append=len(rows.host))


def _read_rows(flows: pl.DataFrame) -> _Rows:
    n = flows.height

    def column(name: str) -> pl.Series:
        have = name in flows.columns
        return flows[name] if have else pl.Series(name, [None] * n, pl.Float64)

    def hashes(name: str) -> npt.NDArray[np.uint64]:
        s = column(name)
        known = s.is_not_null().to_numpy()
        return np.where(known, s.cast(pl.String).hash().to_numpy() | np.uint64(1), 0)

    def either(*names: str) -> pl.Series:
        a, b = (column(k).cast(pl.Float64).fill_nan(None) for k in names)
        return (a.fill_null(0) + b.fill_null(0)).set(a.is_null() & b.is_null(), None)

    port = column("resp_p").cast(pl.Float64).fill_null(-1).to_numpy()
    port_known = (port >= 0) & (port < 1 << 16)
    failed = column("failed").cast(pl.Float64).fill_null(-1).fill_nan(-1).to_numpy()
    size = either("orig_bytes", "resp_bytes").fill_null(either("orig_ip_bytes", "resp_ip_bytes"))
    class_ = np.frexp(1 + np.clip(size.fill_null(0).to_numpy(), 0, 2.0**40))[1] - 1
    class_ = np.where(size.is_not_null().to_numpy(), np.minimum(class_, _TOP_CLASS), -1)
    return _Rows(
        host=hashes("orig_h"),
        t=column("ts").cast(pl.Float64).to_numpy().astype(np.float64),
        resp=hashes("resp_h"),
        port=np.where(port_known, port + 1, 0).astype(np.uint32),
        failed=np.sign(failed).astype(np.int8),
        size=class_.astype(np.int8),
    )


def _never_backwards(t: Floats, begin: Ints, length: Ints) -> None:
    """Raise in place each time to the largest before it in its group of rows."""
    steps = np.diff(t)
    steps[begin[1:] - 1] = 0
    if not (steps < 0).any():
        return
    group = np.repeat(np.arange(len(begin)), length)
    ranks = np.searchsorted(sorted_t := np.sort(t), t)
    t[:] = sorted_t[np.maximum.accumulate(group * len(t) + ranks) - group * len(t)]


def _reachable(rows: _Rows, begin: Ints, length: Ints) -> _Rows:
    """Return the rows that the next flow of their host can have in a window."""
    left = np.repeat(begin + length, length) - np.arange(len(rows.t))  # 1 for the last of a host
    last = np.repeat(rows.t[begin + length - 1], length)
    recent = (left < MAX_WINDOW) & (rows.t >= last - WINDOW_S)
    return rows.take(recent | (left < WINDOW_FLOWS))


def _contexts(rows: _Rows, begin: Ints, asked: Ints) -> Iterator[Floats]:
    """Yield the context columns of the asked rows.

    Args:
        rows: flows, grouped by host and in order inside a group.
        begin: (n,) first row of each row's group.
        asked: rows to answer for; for the others the windows may be wider.
    """
    n = len(rows.t)
    next_resp, next_port = _next_same(rows.resp, begin), _next_same(rows.port, begin)
    gaps = Gaps(rows.t)
    counts = Counts(rows.size)
    for first in (_first_recent(rows.t, begin, asked), np.maximum(begin[asked], asked - 99)):
        firsts = begin.copy()
        firsts[asked] = first
        gone = np.cumsum(np.bincount(firsts, minlength=n))  # row j is in windows [j, gone[j])
        n_flows = asked - first + 1
        yield n_flows.astype(np.float64)
        yield _distinct(rows.resp != 0, np.minimum(next_resp, gone))[asked]
        yield _distinct(rows.port != 0, np.minimum(next_port, gone))[asked]
        yield _failed_share(rows.failed, first, asked)
        yield entropy(rows.size >= 0, counts, firsts, gone)[asked]
        yield gaps.regularity(first, asked)
    yield _pair_regularity(rows, begin, asked)


def _pair_regularity(rows: _Rows, begin: Ints, asked: Ints) -> Floats:
    """Return the regularity of a flow's gaps to its own responder and port.

    Over those of its host's last 100 flows that went there; NaN where either is unknown.
    """
    n = len(rows.t)
    mixed = rows.resp * _ODD ^ (rows.host + rows.port) * _ODDER
    pairs, code = _codes(mixed)
    order = _stable_order(code, len(pairs))
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    reach = np.maximum(begin[order], order - (WINDOW_FLOWS - 1))
    first = np.searchsorted(code[order] * n + order, code[order] * n + reach)  # both in order
    at = place[asked]
    regular = Gaps(rows.t[order]).regularity(first[at], at)
    known = (rows.resp[asked] != 0) & (rows.port[asked] != 0)
    return np.where(known, regular, np.nan)


def _first_recent(t: Floats, begin: Ints, asked: Ints) -> Ints:
    """Return for each asked row the first of its group within ``WINDOW_S``, by bisection."""
    low, high = np.maximum(begin[asked], asked - (MAX_WINDOW - 1)), asked.copy()
    since = t[asked] - WINDOW_S
    while (low < high).any():
        middle = (low + high) >> 1
        old = t[middle] < since
        low = np.where(old, middle + 1, low)
        high = np.where(old, high, middle)
    return low


def _codes(values: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return the distinct values in order, and the number of each row's value among them."""
    order = np.argsort(values)
    v = values[order]
    new = np.r_[True, v[1:] != v[:-1]][: len(v)]
    code = np.empty(len(v), np.int64)
    code[order] = np.cumsum(new) - 1
    return v[new], code


def _stable_order(code: Ints, n_codes: int) -> Ints:
    """Return the rows in order of their code; radix sort where codes are few."""
    small = code.astype(np.uint16 if n_codes <= 1 << 16 else np.uint32)
    return np.argsort(small, kind="stable")


def _next_same(values: Array, begin: Ints) -> Ints:
    """Return the next row of the same group with the same value, n where there is none."""
    distinct, code = _codes(values)
    order = _stable_order(code, len(distinct))
    after = np.full(len(values), len(values))
    v, g = code[order], begin[order]
    same = (v[1:] == v[:-1]) & (g[1:] == g[:-1])
    after[order[:-1][same]] = order[1:][same]
    return after


def _distinct(known: npt.NDArray[np.bool_], end: Ints) -> Floats:
    """Return the distinct values in each row's window, NaN for none.

    Row j stands for its value in the windows of rows j to ``end[j] - 1``.
    """
    steps = known.astype(np.int64) - np.bincount(end[known], minlength=len(end) + 1)[:-1]
    count = np.cumsum(steps).astype(np.float64)
    count[count == 0] = np.nan
    return count


def _between(flags: npt.NDArray[np.bool_], first: Ints, asked: Ints) -> npt.NDArray[np.int32]:
    """Return how many flags are set from row ``first`` to row ``asked``, both included."""
    total = np.zeros(len(flags) + 1, np.int32)
    np.cumsum(flags, out=total[1:])
    return total[asked + 1] - total[first]


def _failed_share(failed: npt.NDArray[np.int8], first: Ints, asked: Ints) -> Floats:
    known = _between(failed >= 0, first, asked).astype(np.float64)
    known[known == 0] = np.nan
    return _between(failed > 0, first, asked) / known
