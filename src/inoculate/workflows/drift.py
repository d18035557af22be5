"""Whether today's records still look like the background that a detector was adapted on.

Records that did not alarm are compared with background that would not have: a two-sample test
on the alarm score and on each column, Holm's correction over all of them. Alarms are left out on
both sides, since an attack is no drift and nobody should adapt to it again. A test of a million
records calls any shift significant, so a shift must also be large: the Kolmogorov-Smirnov
statistic itself is the effect, the largest difference between the shares of records at or below
any one value. An unknown value is below all others, so that a change in what is known counts too.
Columns of context are left to the score: they say how much of its hosts' life a file holds.

References:
    Smirnov, "Table for estimating the goodness of fit of empirical distributions", Annals of
    Mathematical Statistics 19, 1948; Stephens, JRSS B 32, 1970, section 2, for the correction at
    small samples. With ties both are conservative.
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979: holds however the columns depend on each other.
    Efraimidis and Spirakis, "Weighted random sampling with a reservoir", IPL 97, 2006.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inoculate.calibration import Float64
from inoculate.domain import View
from inoculate.task import Encoded, FloatArray

LEVEL = 0.01
"""Chance to call a drift where there is none, over all columns and windows together."""
LARGE = 0.1
"""Share of records by which a distribution has to differ at some value."""
LEAST = 200
"""Records on either side, below which nothing is said."""
KEPT = 2_000

_SHOWN = 3
_DAY_S = 86_400


def ks_statistic(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Return the largest distance between two empirical distributions, 0 to 1; NaN is lowest.

    Args:
        a: (n,) values.
        b: (m,) values.

    Example:
        >>> ks_statistic(np.array([1.0, 2.0, 3.0]), np.array([2.5, np.nan]))
        0.5
    """
    a, b = (np.sort(np.where(np.isnan(x), -np.inf, x)) for x in (a, b))
    at = np.concatenate([a, b])
    below = (np.searchsorted(x, at, side="right") / len(x) for x in (a, b))
    return float(np.abs(next(below) - next(below)).max())


def ks_p_value(statistic: float, n: int, m: int) -> float:
    """Return the chance of a statistic as large between two samples of one distribution.

    Args:
        statistic: 0 to 1.
        n: size of one sample, at least 1.
        m: size of the other.
    """
    root = np.sqrt(n * m / (n + m))
    scaled = (root + 0.12 + 0.11 / root) * statistic
    if scaled < 0.2:  # the series below needs ever more terms; the sum is 1 to ten digits
        return 1.0
    k = np.arange(1, 101)
    terms = (-1.0) ** (k - 1) * np.exp(-2.0 * k**2 * scaled**2)
    return float(np.clip(2 * terms.sum(), 0.0, 1.0))


def holm(p_values: Sequence[float]) -> Float64:
    """Return p-values adjusted so that all those of at most a level hold together, (k,).

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(adjusted, 1.0)
    return out


@dataclass(frozen=True, slots=True)
class Shift:
    """What differs between today and the background.

    Attributes:
        about: the column in plain words, or the alarm score.
        distance: share of records by which it differs, 0 to 1.
        p_value: adjusted over all that was compared.
    """

    about: str
    distance: float
    p_value: float


class Drift:
    """Keeps a uniform sample of records that did not alarm, and compares it when asked.

    Args:
        background: of the user's own.
        scores: alarm scores of background that this very detector was not adapted on; None
            where there are none, as with folds, whose detectors each score a little otherwise.
        views: the columns.
        threshold: records that score as high are left out.
        rate: share of benign records that do. The background's columns keep them, so that much
            of a difference is taken off before it counts.
        seed: draws the sample.

    Attributes:
        n_seen: records that did not alarm so far in this window.
    """

    def __init__(
        self,
        background: Encoded,
        scores: npt.NDArray[np.floating] | None,
        views: Sequence[View],
        *,
        threshold: float,
        rate: float,
        seed: int = 0,
    ) -> None:
        self.n_seen = 0
        self._rate = rate
        self._background = background.stacked()
        self._scores = None if scores is None else scores[scores < threshold]
        by_name = {view.name: view.columns for view in views}
        self._columns = [column for name in background for column in by_name[name]]
        self._threshold = threshold
        self._rng = np.random.default_rng(seed)
        self._window, self._began, self._told = 1, 0.0, False
        self._forget()

    def _forget(self) -> None:
        self._keys = np.empty(0)
        self._rows: FloatArray = np.empty((0, len(self._columns)), np.float32)
        self._alarm = np.empty(0)
        self.n_seen = 0

    def add(self, x: Encoded, alarm: Float64) -> None:
        """Take some records into account; memory stays that of ``KEPT`` and these."""
        rows = np.flatnonzero(alarm < self._threshold)
        self.n_seen += len(rows)
        keys = self._rng.random(len(rows))
        if len(self._keys) >= KEPT:
            few = keys < self._keys.max()
            rows, keys = rows[few], keys[few]
        if not len(rows):
            return
        if len(rows) > KEPT:
            first = np.argpartition(keys, KEPT)[:KEPT]
            rows, keys = rows[first], keys[first]
        keys = np.concatenate([self._keys, keys])
        stay = np.argsort(keys, kind="stable")[:KEPT]
        self._keys = keys[stay]
        self._rows = np.concatenate([self._rows, x.take(rows).stacked()])[stay]
        self._alarm = np.concatenate([self._alarm, alarm[rows]])[stay]

    def shifts(self, level: float = LEVEL) -> list[Shift]:
        """Return what differs both significantly and much, the most first."""
        if min(len(self._rows), len(self._background)) < LEAST:
            return []
        about: list[str] = []
        distances: list[float] = []
        p_values: list[float] = []
        if self._scores is not None and len(self._scores) >= LEAST:
            about.append("the alarm score")
            distances.append(ks_statistic(self._scores, self._alarm))
            p_values.append(ks_p_value(distances[0], len(self._scores), len(self._alarm)))
        # a column that today's source cannot know is told once, by the scanner
        own = np.array([not column.context for column in self._columns])
        for j in np.flatnonzero(own & ~np.isnan(self._rows).all(axis=0)):
            about.append(self._columns[j].about)
            apart = ks_statistic(self._background[:, j], self._rows[:, j])
            distances.append(max(0.0, apart - self._rate))
            p_values.append(ks_p_value(distances[-1], len(self._background), len(self._rows)))
        found = [
            Shift(*told)
            for told in zip(about, distances, holm(p_values).tolist(), strict=True)
            if told[2] <= level and told[1] >= LARGE
        ]
        return sorted(found, key=lambda shift: -shift.distance)

    def note(self, unit: str) -> str | None:
        """Return one line for the user if there is drift and nobody was told before.

        Window k may spend 1 / (k (k + 1)) of the level, which is all of it in for ever.
        """
        shifts = [] if self._told else self.shifts(LEVEL / (self._window * (self._window + 1)))
        if not shifts:
            return None
        self._told = True
        told = ", ".join(
            f"{s.about} (by up to {100 * s.distance:.0f} % of {unit}s)" for s in shifts[:_SHOWN]
        )
        more = f" and {len(shifts) - _SHOWN} more" if len(shifts) > _SHOWN else ""
        return (
            f"today's {unit}s differ from the background in {told}{more}; the promised "
            "false-alarm rate may not hold: consider adapting again with recent background"
        )

    def turn(self, now_s: float, unit: str) -> str | None:
        """Close the window where a day has passed; return what ``note`` then says.

        Args:
            now_s: of a clock that never goes back.
            unit: what a record is.
        """
        self._began = self._began or now_s
        if now_s - self._began < _DAY_S or self.n_seen < LEAST:
            return None
        note = self.note(unit)
        self._window, self._began = self._window + 1, now_s
        self._forget()
        return note
