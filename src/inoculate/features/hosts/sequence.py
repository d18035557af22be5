"""Sequences of named calls: cut into windows, and described by their mix and repetition.

Long traces are cut into windows that overlap by half, so that what is short and strange is not
drowned by what is long and usual, and a sequence scores alike whatever the length of its trace.

Reference:
    Forrest et al., "A Sense of Self for Unix Processes", IEEE S&P 1996, section 3: short
    sequences of calls tell normal from intruded processes. Departures: windows of 200 calls
    described by counts, not a database of windows of 6.
"""

import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.domain import Column, View
from inoculate.task import FloatArray

WINDOW = 200
STEP = 100
MOST_OPEN = 20_000
"""Traces followed at once; beyond, the one that was silent longest is ended."""

P = TypeVar("P")


def window_starts(n: int, *, size: int = WINDOW, step: int = STEP) -> range:
    """Return where the windows of a sequence of ``n`` begin; each holds something new.

    Example:
        >>> [list(window_starts(n, size=4, step=2)) for n in (0, 3, 4, 5, 6, 7)]
        [[0], [0], [0], [0, 2], [0, 2], [0, 2, 4]]
    """
    return range(0, max(1, n - (size - step)), step)


@dataclass(frozen=True, slots=True)
class Window(Generic[P]):
    """Consecutive calls of one trace.

    Attributes:
        trace: whose calls they are.
        first: place of the first in the trace, from 0.
        place: what came with the first.
        calls: their names.
    """

    trace: str
    first: int
    place: P
    calls: list[str]


@dataclass(slots=True)
class _Open(Generic[P]):
    first: int = 0
    calls: list[str] = field(default_factory=list)
    places: list[P] = field(default_factory=list)


class Windows(Generic[P]):
    """Cuts interleaved traces into windows as their calls come, in bounded memory.

    Args:
        size: calls in a window.
        step: calls from the beginning of one to that of the next; divides ``size``.
        most_open: traces followed at once.
    """

    def __init__(self, *, size: int = WINDOW, step: int = STEP, most_open: int = MOST_OPEN) -> None:
        self.size = size
        self.step = step
        self.most_open = most_open
        self._open: OrderedDict[str, _Open[P]] = OrderedDict()

    def add(self, trace: str, call: str, place: P) -> Iterator[Window[P]]:
        """Take the next call of a trace; yield a window that is known to be whole."""
        part = self._open.get(trace)
        if part is None:
            if len(self._open) >= self.most_open:
                yield self._whole(*self._open.popitem(last=False))
            part = self._open[trace] = _Open()
        else:
            self._open.move_to_end(trace)
        if len(part.calls) == self.size:  # only now is it known that another one follows
            yield self._whole(trace, part)
            del part.calls[: self.step], part.places[:1]
            part.first += self.step
        if len(part.calls) % self.step == 0:
            part.places.append(place)
        part.calls.append(sys.intern(call))

    def finish(self) -> Iterator[Window[P]]:
        """Yield the last window of every trace, the one silent longest first."""
        while self._open:
            yield self._whole(*self._open.popitem(last=False))

    @staticmethod
    def _whole(trace: str, part: _Open[P]) -> Window[P]:
        return Window(trace, part.first, part.places[0], list(part.calls))


def sequence_view(what: str, categories: Sequence[str]) -> View:
    """Return the view ``shape`` that ``sequence_shape`` fills.

    Args:
        what: is counted, in the plural ("system calls").
        categories: names of the categories, as ``sequence_shape`` takes them.
    """
    columns = (
        Column("length", "log2(1+n)", f"number of {what}"),
        Column("distinct", "1", f"share of different {what}"),
        Column("distinct_pairs", "1", f"share of different pairs of {what}"),
        Column("entropy", "bit", f"entropy of {what}"),
        Column("repeats", "1", f"share of {what} that repeat the one before"),
        Column("top", "1", f"share of the most frequent of {what}"),
        Column("unknown", "1", f"share of {what} of no known name"),
        *(Column(f"{c}_share", "1", f"share of {what} for {c}") for c in categories),
    )
    return View("shape", columns)


def sequence_shape(
    sequences: pl.Series, category_of: Mapping[str, str], categories: Sequence[str]
) -> FloatArray:
    """Return the columns of ``sequence_view``, (n, 7 + categories) float32; null gives NaN.

    Shares of an empty sequence are NaN, as are those of pairs in a sequence of one.

    Args:
        sequences: (n,) List(String).
        category_of: category of each known name; "" for one that has none.
        categories: which of them have a column.
    """
    lengths = sequences.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = sequences.filter(pl.Series(lengths > 0)).explode().cast(pl.String)
    names = flat.unique(maintain_order=True)
    codes = _coded(flat, names)
    known = [category_of.get(n or "") for n in names]
    place = {c: i + 1 for i, c in enumerate(categories)}
    group = np.array([-1 if c is None else place.get(c, 0) for c in known], np.int64)
    row = np.repeat(np.arange(len(lengths)), lengths)
    n_rows, n_groups = len(lengths), len(categories) + 2
    groups = np.bincount(row * n_groups + group[codes] + 1, minlength=n_rows * n_groups)
    mix = groups.reshape(n_rows, n_groups).astype(np.float64)
    follows = row[1:] == row[:-1]
    pairs = codes[:-1] * max(1, len(names)) + codes[1:]
    n_pairs = np.maximum(lengths - 1, 0)
    distinct, entropy, top = _diversity(row, codes, lengths)
    distinct_pairs, _, _ = _diversity(row[1:][follows], pairs[follows], n_pairs)
    same = np.bincount(row[1:][follows & (codes[1:] == codes[:-1])], minlength=n_rows)
    with np.errstate(invalid="ignore"):
        shares = [distinct_pairs / n_pairs, entropy, same / n_pairs, top / lengths]
        columns = [np.log2(1 + lengths), distinct / lengths, *shares, mix[:, 0] / lengths]
        out = np.column_stack([*columns, mix[:, 2:] / lengths[:, None]]).astype(np.float32)
    out[sequences.is_null().to_numpy()] = np.nan
    return out


def _coded(flat: pl.Series, names: pl.Series) -> npt.NDArray[np.int64]:
    """Return the place of each item among the distinct names."""
    index = pl.DataFrame({"item": names, "code": np.arange(len(names))})
    found = pl.DataFrame({"item": flat}).join(
        index, on="item", how="left", nulls_equal=True, maintain_order="left"
    )
    return found["code"].to_numpy().astype(np.int64)


def _diversity(
    row: npt.NDArray[np.int64], codes: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return for each row its distinct codes, their entropy in bits and the largest count."""
    n, span = len(lengths), int(codes.max(initial=0)) + 1
    keys, counts = np.unique(row * span + codes, return_counts=True)
    owner = keys // span
    distinct = np.bincount(owner, minlength=n).astype(np.float64)
    weighted = np.bincount(owner, counts * np.log2(counts), minlength=n)
    with np.errstate(invalid="ignore", divide="ignore"):
        entropy = np.maximum(np.log2(lengths) - weighted / lengths, 0.0)
    top = np.zeros(n)
    np.maximum.at(top, owner, counts)
    return distinct, np.where(lengths > 0, entropy, np.nan), top
