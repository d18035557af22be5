"""Columns expressed against a background: what lets a detector travel between networks.

The same value means different things on different networks; its place among the user's own
records means the same everywhere. Five channels a column (``CHANNELS``):

* ``quantile``: share of background below the value, ties counting half, 0 to 1;
* ``z``: signed logarithm of the robust distance from the median, -6 to 6;
* ``mass``: share of background with exactly this value, 0 to 1;
* ``below``, ``above``: 1 beyond the smallest or largest background value, else 0.

A NaN is an unknown value. It is not counted in the background, and where a channel is asked
for it becomes the neutral value of ``NEUTRAL`` (the middle of the background, no flag). So does
every value of a column that the background knows nothing of. ``known`` tells the two apart.

References:
    Huber and Ronchetti, "Robust Statistics", 2nd ed., 2009, section 5.1, for median and
    interquartile range. Departure: a logarithm above one range, since traffic is heavy-tailed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from inoculate.errors import TaskError
from inoculate.task import FloatArray

CHANNELS = ("quantile", "z", "mass", "below", "above")
NEUTRAL = {"quantile": 0.5, "z": 0.0, "mass": 0.0, "below": 0.0, "above": 0.0}
Z_LIMIT = 6.0
_BLOCK = 16_384  # rows at a time: a column of a block stays in the cache

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """One background column: k distinct values and what holds at and between them.

    ``quantile`` and ``mass`` have 2k + 1 places: below the first value, at it, between the
    first and the second, at the second, and so on.
    """

    values: FloatArray  # (k,) increasing
    quantile: FloatArray  # (2k + 1,)
    mass: FloatArray  # (2k + 1,)

    def place(self, x: FloatArray) -> npt.NDArray[np.intp]:
        """Return where each value falls, 0 .. 2k; NaN falls at the end."""
        left = np.searchsorted(self.values, x)
        at = self.values[np.minimum(left, len(self.values) - 1)] == x
        place: npt.NDArray[np.intp] = 2 * left + at
        return place

    def at(self, place: npt.NDArray[np.intp], channel: str) -> FloatArray:
        """Return a channel other than z at each place."""
        if channel == "quantile":
            return np.take(self.quantile, place)
        if channel == "mass":
            return np.take(self.mass, place)
        edge = 0 if channel == "below" else 2 * len(self.values)
        return np.equal(place, edge).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A background that columns are expressed against; immutable.

    Attributes:
        n_records: records it was made from.
        center: (d,) float32, median of each column; 0 where nothing is known.
        scale: (d,) float32, interquartile range; the standard deviation where that is 0, and
            1 where both are.
        known_share: (d,) float32, share of background records whose value is known.

    Example:
        >>> r = Reference.fit(np.array([[0], [1], [1], [2]], np.float32))
        >>> r.quantiles(np.array([[1], [9], [np.nan]], np.float32)).ravel().tolist()
        [0.5, 1.0, nan]
    """

    n_records: int
    center: FloatArray
    scale: FloatArray
    known_share: FloatArray
    _ordered: Float64  # (d, m) increasing, unknown values last
    _columns: dict[int, _Column] = field(default_factory=dict)  # as far as asked for

    @classmethod
    def fit(cls, background: FloatArray) -> "Reference":
        """Return the reference of a background, (m, d) float32 with NaN. O(m d log m).

        Raises:
            TaskError: no record, or not a two-dimensional array.
        """
        if background.ndim != 2 or not len(background):
            raise TaskError(f"background is {background.shape}, expected (m, d) with m > 0")
        ordered = np.sort(background.T.astype(np.float64), axis=1)
        n_known = len(background) - np.isnan(ordered).sum(axis=1)
        center = np.where(n_known > 0, _quantile(ordered, n_known, 0.5), 0.0)
        c, s, k = (
            np.asarray(a, np.float32)
            for a in (center, _scale(ordered, n_known), n_known / len(background))
        )
        return cls(len(background), c, s, k, ordered)

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return len(self._ordered)

    @property
    def usable(self) -> npt.NDArray[np.intp]:
        """Indices of the columns that the background knows anything of."""
        return np.flatnonzero(self.known_share > 0)

    def quantiles(self, x: FloatArray) -> FloatArray:
        """Return the share of background below each value (ties half), (n, d); NaN unknown."""
        out = self.transform(x, ("quantile",))[:, :, 0]
        out[np.isnan(x) | (self.known_share == 0)] = np.nan
        return out

    def z(self, x: FloatArray) -> FloatArray:
        """Return signed-log robust distances, (n, d) in -6..6; NaN stays NaN."""
        self._checked(x)
        out = np.empty(x.shape, np.float32)
        for start in range(0, len(x), _BLOCK):
            block = out[start : start + _BLOCK]
            with np.errstate(over="ignore"):
                np.subtract(x[start : start + _BLOCK], self.center, out=block)
                block /= self.scale
            sign = np.signbit(block)
            np.abs(block, out=block)
            block += 1
            np.log(block, out=block)  # log(1 + a) is vectorised where log1p is not
            np.minimum(block, Z_LIMIT, out=block)
            np.negative(block, out=block, where=sign)
        out[:, self.known_share == 0] = np.nan
        return out

    def known(self, x: FloatArray) -> FloatArray:
        """Return 1 where a value is known and the background knows the column, else 0, (n, d)."""
        return (~np.isnan(x) & (self.known_share > 0)).astype(np.float32)

    def transform(
        self,
        x: FloatArray,
        channels: Sequence[str] = CHANNELS,
        columns: Sequence[int] | None = None,
    ) -> FloatArray:
        """Return channels of columns, (n, d, c) float32, finite.

        Args:
            x: (n, d) float32 with NaN.
            channels: any of ``CHANNELS``, in the order wanted; those asked for cost time.
            columns: indices of the columns wanted; all when None.

        Raises:
            TaskError: another number of columns than the background's, or no such channel.
        """
        if unknown := set(channels) - set(CHANNELS):
            raise TaskError(f"no channel {sorted(unknown)}; have {CHANNELS}")
        self._checked(x)
        wanted = list(range(self.n_columns) if columns is None else columns)
        out = np.empty((len(x), len(wanted), len(channels)), np.float32)
        for start in range(0, len(x), _BLOCK):
            rows = x[start : start + _BLOCK]
            part = np.empty(
                (len(channels), len(wanted), len(rows)), np.float32
            )  # columns lie whole
            z = self.z(rows)[:, wanted].T if "z" in channels else rows.T
            for i, j in enumerate(wanted):
                self._fill(part[:, i], np.ascontiguousarray(rows[:, j]), j, channels, z[i])
            out[start : start + _BLOCK] = part.transpose(2, 1, 0)
        return out

    def raw_threshold(self, channel: str, column: int, threshold: float) -> float:
        """Return t such that ``value <= t`` holds just where ``channel <= threshold`` does.

        A tree grown on channels can so be run on raw columns. For ``quantile`` and ``z``, the
        two that never fall as the value rises; in ``z`` up to float32 rounding at the edge.

        Raises:
            TaskError: the channel is not one of the two.
        """
        if channel == "z":
            wide = np.sign(threshold) * np.expm1(abs(threshold)) * float(self.scale[column])
            return float(np.float32(self.center[column] + wide))
        if channel != "quantile":
            raise TaskError(f"channel {channel!r} is not monotone in the value")
        known = self._column(column)
        if known is None:
            return float("inf") if threshold >= NEUTRAL["quantile"] else float("-inf")
        place = int(np.searchsorted(known.quantile, np.float32(threshold), side="right")) - 1
        if place < 0:
            return float("-inf")
        if place == 2 * len(known.values):
            return float("inf")
        value = known.values[place // 2]
        return float(value if place % 2 else np.nextafter(value, np.float32(-np.inf)))

    def _fill(
        self, out: FloatArray, x: FloatArray, j: int, channels: Sequence[str], z: FloatArray
    ) -> None:
        column = self._column(j)
        place = column.place(x) if column and set(channels) - {"z"} else None
        for c, channel in enumerate(channels):
            if column is None:
                out[c] = NEUTRAL[channel]
            elif place is None or channel == "z":
                out[c] = z
            else:
                out[c] = column.at(place, channel)
        if column is not None:
            out[:, np.isnan(x)] = np.array([NEUTRAL[c] for c in channels], np.float32)[:, None]

    def _column(self, j: int) -> _Column | None:
        """Return one column; None where nothing is known."""
        if not self.known_share[j]:
            return None
        if j not in self._columns:
            known = self._ordered[j]
            self._columns[j] = _column(known[~np.isnan(known)])
        return self._columns[j]

    def _checked(self, x: FloatArray) -> None:
        if x.ndim != 2 or x.shape[1] != self.n_columns:
            raise TaskError(f"records are {x.shape}, the reference has {self.n_columns} columns")


def _column(known: Float64) -> _Column:
    values, counts = np.unique(known.astype(np.float32), return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])
    quantile = np.empty(2 * len(values) + 1)
    quantile[0::2] = below
    quantile[1::2] = below[:-1] + counts / 2
    mass = np.zeros(2 * len(values) + 1)
    mass[1::2] = counts
    n = len(known)
    return _Column(values, (quantile / n).astype(np.float32), (mass / n).astype(np.float32))


def _quantile(ordered: Float64, n_known: npt.NDArray[np.intp], share: float) -> Float64:
    """Return a quantile of each column's known values, (d,), between the two nearest ones."""
    place = np.maximum(n_known - 1, 0) * share
    low = np.floor(place).astype(np.intp)
    rows = np.arange(len(ordered))
    a = ordered[rows, low]
    b = ordered[rows, np.minimum(low + 1, np.maximum(n_known - 1, 0))]
    return np.asarray(a + (b - a) * (place - low))


def _scale(ordered: Float64, n_known: npt.NDArray[np.intp]) -> Float64:
    """Return each column's interquartile range, or its standard deviation, or 1, (d,)."""
    values = np.nan_to_num(ordered, nan=0.0)
    known = ~np.isnan(ordered)
    count = np.maximum(n_known, 1)
    gap = (values - (values.sum(axis=1) / count)[:, None]) * known
    spreads = (
        _quantile(ordered, n_known, 0.75) - _quantile(ordered, n_known, 0.25),
        np.sqrt(np.square(gap).sum(axis=1) / count),
    )
    smallest = 1e-9 * np.maximum(1.0, np.abs(values).max(axis=1))  # below this, rounding noise
    out = np.ones(len(ordered))
    for spread in reversed(spreads):
        out = np.where((smallest < spread) & (spread < np.finfo(np.float32).max), spread, out)
    return np.where(n_known < 2, 1.0, out)
