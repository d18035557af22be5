"""Why a record was found: the columns that moved its score most, in words with units.

Works for every detector alike, by asking it again: the score with one column put back to
what is usual in the background (what that column adds last), and the score of a usual record
with only that column changed (what it adds first). The mean of both is the two-point
estimate of the column's Shapley value.

References:
    Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017,
    section 2.3, equation 4. Departure: only the first and the last of all orders are asked,
    which costs 2 d + 2 scores a record instead of 2^d.
"""

from collections.abc import Sequence

import numpy as np

from inoculate.domain import Column, View
from inoculate.finding import Reason
from inoculate.learner import Detector
from inoculate.task import Encoded, FloatArray, IntArray

_SCORED_AT_ONCE = 100_000
_MOST_LOG = 60.0


class Explainer:
    """Names the columns that moved a detector's score, against one background.

    Args:
        detector: what gave the scores.
        views: the columns, as the records are encoded in.
        background: the records that say what is usual, at least one.
        n_reasons: reasons a record, at least 1.
    """

    def __init__(
        self, detector: Detector, views: Sequence[View], background: Encoded, *, n_reasons: int = 3
    ) -> None:
        self._detector = detector
        self._n_reasons = n_reasons
        by_name = {view.name: view.columns for view in views}
        self._columns = [column for name in background for column in by_name[name]]
        self._widths = {name: background[name].shape[1] for name in background}
        x = background.stacked()
        self._sorted = [np.sort(x[~np.isnan(x[:, j]), j]) for j in range(x.shape[1])]
        # a middle value that occurs: the mean of two would be a value nobody sends
        self._usual = np.array(
            [known[len(known) // 2] if len(known) else np.nan for known in self._sorted],
            np.float32,
        )

    def explain(self, records: Encoded, classes: IntArray) -> list[tuple[Reason, ...]]:
        """Return the reasons of each record, strongest first; may be fewer than asked for.

        Args:
            records: n records.
            classes: (n,) the class each was found as; -1 for novelty.
        """
        x = records.stacked()
        n_columns = x.shape[1]
        at_once = max(1, _SCORED_AT_ONCE // (2 * n_columns + 2))
        reasons: list[tuple[Reason, ...]] = []
        for start in range(0, len(x), at_once):
            part = x[start : start + at_once]
            gains = self._gains(part, classes[start : start + at_once])
            reasons += [self._reasons(row, gain) for row, gain in zip(part, gains, strict=True)]
        return reasons

    def _gains(self, x: FloatArray, classes: IntArray) -> FloatArray:
        """Return how much each column adds to each record's score, (n, d)."""
        same = (x == self._usual) | (np.isnan(x) & np.isnan(self._usual))
        rows, columns = np.nonzero(~same)  # the others add nothing; of hashed columns, most
        n_asked = len(rows)
        without, alone = x[rows], np.repeat(self._usual[None], n_asked, axis=0)
        without[np.arange(n_asked), columns] = self._usual[columns]
        alone[np.arange(n_asked), columns] = x[rows, columns]
        scores = self._detector.score(
            self._encoded(np.concatenate([without, alone, x, self._usual[None]]))
        )
        mine = classes[rows]
        owner = np.concatenate([mine, mine, classes])
        if scores.threat.shape[1]:
            picked = scores.threat[np.arange(len(owner)), np.maximum(owner, 0)]
            usual = scores.threat[-1, np.maximum(classes, 0)]
        else:
            picked = scores.novelty[:-1]
            usual = np.full(len(x), scores.novelty[-1], np.float32)
        last, first = picked[:n_asked], picked[n_asked : 2 * n_asked]
        whole = picked[2 * n_asked :]
        gains = np.zeros(x.shape, np.float32)
        gains[rows, columns] = ((whole[rows] - last) + (first - usual[rows])) / 2
        return gains

    def _encoded(self, x: FloatArray) -> Encoded:
        ends = np.cumsum(list(self._widths.values()))
        parts = np.split(x.astype(np.float32), ends[:-1], axis=1)
        return Encoded(dict(zip(self._widths, parts, strict=True)))

    def _reasons(self, row: FloatArray, gains: FloatArray) -> tuple[Reason, ...]:
        positive = np.maximum(gains, 0.0)
        total = float(positive.sum())
        strongest = np.argsort(-positive, kind="stable")[: self._n_reasons]
        return tuple(
            self._reason(int(j), float(row[j]), float(positive[j]) / total)
            for j in strongest
            if total > 0 and positive[j] > 0
        )

    def _reason(self, j: int, value: float, weight: float) -> Reason:
        column, known = self._columns[j], self._sorted[j]
        if np.isnan(value) or not len(known):
            text = f"{column.about} unknown" if np.isnan(value) else _quantity(column, value)
            return Reason(column.name, None, column.unit, None, weight, text)
        below = float(np.searchsorted(known, value, side="left")) / len(known)
        above = 1 - float(np.searchsorted(known, value, side="right")) / len(known)
        text = f"{_quantity(column, value)}: {_position(below, above, len(known))}"
        quantile = below + (1 - below - above) / 2
        return Reason(column.name, value, column.unit, quantile, weight, text)


def _position(below: float, above: float, n: int) -> str:
    if below == 1 or above == 1:
        return f"{'above' if below == 1 else 'below'} all of {n:,} background records"
    same = 1 - below - above
    if same >= max(below, above):
        return f"as {_percent(same)} of background"
    side, share = ("above", below) if below >= above else ("below", above)
    return f"{side} {_percent(share)} of background"


def _percent(share: float) -> str:
    percent = 100 * share
    if 0 < percent < 0.1:
        return "under 0.1 %"
    return f"{percent:.1f} %" if percent > 99 or percent < 1 else f"{percent:.0f} %"


def _quantity(column: Column, value: float) -> str:
    if column.unit == "yes/no":
        return (
            f"{column.about}: {'yes' if value >= 0.5 else 'no'}"
            if value in (0, 1)
            else (f"{column.about} {value:.3g}")
        )
    return f"{column.about} {measure(value, column.unit)}"


def measure(value: float, unit: str) -> str:
    """Return a quantity for reading: 1.2 MB, 350 ms, 12 packets, 0.25.

    Example:
        >>> measure(1_234_567, "byte"), measure(0.35, "s"), measure(1, "packet")
        ('1.2 MB', '350 ms', '1 packet')
        >>> measure(3.0, "log2(1+n)")
        '7'
    """
    size = abs(value)
    if unit == "s":
        for limit, factor, name in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s")):
            if size < limit:
                return f"{_short(value * factor)} {name}"
        return f"{_short(value / 60)} min" if size < 7200 else f"{_short(value / 3600)} h"
    if unit.startswith("byte") and size >= 1000:
        rest = unit.removeprefix("byte")
        for limit, factor, name in ((1e6, 1e3, "kB"), (1e9, 1e6, "MB"), (np.inf, 1e9, "GB")):
            if size < limit:
                return f"{_short(value / factor)} {name}{rest}"
    if unit == "log2(1+n)":  # a count that is encoded by its order of magnitude
        return _short(2**value - 1) if size < _MOST_LOG else "very many"
    if unit in ("1", ""):
        return _short(value)
    plural = "s" if size != 1 and "/" not in unit else ""
    return f"{_short(value)} {unit}{plural}"


def _short(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2g}" if abs(value) < 10 else f"{value:.3g}"
