"""Partial aggregates of flows: what is kept of a flow's packets, and how two parts add up.

A ``State`` is a dict of columns, one row a flow. Counts, sums and sums of squares are integers,
so they add up to the same numbers however a capture is cut into blocks; sums of squares wrap at
2**64 and ``spread`` undoes that.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from inoculate.features.flows.packets import Ints

State = dict[str, npt.NDArray[Any]]

NEVER = 0
"""A time that did not happen; flows' own times begin at 1."""
LARGEST = 1 << 62

SIDES = ("orig", "resp")
SIZES = ("size_1", "size_2", "size_3", "size_4")
_SUMS = ("gap2", "syn", "rst", "psh", "ack", "urg")
_SIDE_SUMS = ("pkts", "ip", "bytes", "squares", "data", "gap2", "fin", "asked", "agreed")
_SIDE_FLOATS = ("entropy", "printable")


def _of_sides(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for side in SIDES for name in names)


SUMS = (*_SUMS, *_of_sides(_SIDE_SUMS))
LEAST = ("gap_min", *_of_sides(("len_min", "gap_min")))
MOST = ("gap_max", "last", *_of_sides(("len_max", "gap_max", "last")))
FIRST_KNOWN = (*SIZES, *_of_sides(("first",)))
"""Columns where 0 means not yet known."""
FLOATS = _of_sides(_SIDE_FLOATS)
IDENTITY = ("key", "a_hi", "a_lo", "b_hi", "b_lo", "tag")
"""Unsigned: mixed key, the two endpoints' addresses, and ports, protocol and VLAN in one word."""
KEPT = ("orig_side", "number", "time_us", "first", "closing", "seen", "newest")
"""Set from outside; the last three are of the newest packet."""


def new_state(n: int) -> State:
    """Return the state of n flows without any packet."""
    zeros = (*SUMS, *MOST, *FIRST_KNOWN, *KEPT)
    return {
        **{k: np.zeros(n, np.uint64) for k in IDENTITY},
        **{k: np.zeros(n, np.int64) for k in zeros},
        **{k: np.full(n, LARGEST, np.int64) for k in LEAST},
        **{k: np.full(n, np.nan) for k in FLOATS},
    }


def take(state: State, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> State:
    """Return some flows."""
    return {k: v[rows] for k, v in state.items()}


def concat(parts: list[State]) -> State:
    """Return the flows of several states one after another."""
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def add_earlier(state: State, rows: Ints, earlier: State) -> None:
    """Add the earlier part of some flows to ``state``, in place.

    Of ``orig_side`` and of what the newest packet says, those of ``state`` stay.
    """
    known = {side: earlier[f"{side}_data"] > 0 for side in SIDES}
    for k in SUMS:
        state[k][rows] += earlier[k]
    for k in LEAST:
        state[k][rows] = np.minimum(state[k][rows], earlier[k])
    for k in MOST:
        state[k][rows] = np.maximum(state[k][rows], earlier[k])
    for k in FIRST_KNOWN:
        state[k][rows] = np.where(earlier[k] != 0, earlier[k], state[k][rows])
    for k in FLOATS:
        state[k][rows] = np.where(known[k[:4]], earlier[k], state[k][rows])
    for k in (*IDENTITY, "number", "time_us", "first"):
        state[k][rows] = earlier[k]


def spread(
    count: Ints, total: Ints, squares: Ints
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean and population standard deviation, NaN where the count is 0.

    ``squares`` may have wrapped: around a whole number near the mean, the sum of squared
    differences is found in the same arithmetic modulo 2**64, where it is exact, for it is small.
    """
    n = np.where(count > 0, count, 1)
    mean = total / n
    centre = np.rint(mean).astype(np.int64)
    around = squares - 2 * centre * total + n * centre * centre
    variance = np.maximum(around, 0) / n - (mean - centre) ** 2
    unknown = count <= 0
    mean[unknown] = np.nan
    return mean, np.where(unknown, np.nan, np.sqrt(np.maximum(variance, 0.0)))
