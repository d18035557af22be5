"""Adapts a learner to a support set: on the right columns, calibrated, and with its own check.

Two things would teach a detector nonsense. A column that one side never knows (a Zeek log has
no packet gaps) separates examples from background by the tool, not by the threat. And where
the examples' sources hold nothing but examples, a flow's context is that of the cutting, not
of the host's life: five flows cut out of a day look like a host that does nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from inoculate.calibration import Calibration, Float64, calibrate
from inoculate.domain import View
from inoculate.learner import Detector, Learner
from inoculate.task import Encoded, FloatArray, Labelled, Support

Context = Literal["auto", "yes", "no"]
"""Whether columns that tell of other records count; ``auto``: only if the others do not do."""

ENOUGH = 0.6
"""Share of left-out examples to be found without context columns, below which they are tried."""

LEFT_OUT = ("left_out", "left_out_p")
"""Extra arrays of a stored detector: the left-out examples' rows, int64, and p-values, float64."""

_MOST_LEFT_OUT = 20
_HELD_OUT_BYTES = 32 << 20
_CONTEXT_NOTE = (
    "the examples' own columns do not suffice, so what their hosts did just before counts too; "
    "that suits sources that hold all their hosts did, and lets other flows of such a host alarm"
)

Keep = dict[str, npt.NDArray[np.bool_]]
"""For each view, which of its columns to keep: (d,) bool."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A learner adapted to a support set.

    Attributes:
        detector: the learner adapted to ``support``.
        views: the columns it looks at.
        support: what it was adapted on; of a large background only the reference records.
        calibration: alarm scores of background it was not adapted on.
        left_out: rows of the examples that were left out, one at a time.
        p_values: what the others said of each of them.
        notes: lines the user must read.
        held_out: the background that calibrated, where it is not that of ``support``; of a very
            wide one only a part.
    """

    detector: Detector
    views: tuple[View, ...]
    support: Support
    calibration: Calibration
    left_out: tuple[int, ...]
    p_values: Float64
    notes: tuple[str, ...] = ()
    held_out: Encoded | None = None

    def found(self, rate: float) -> int:
        """Return how many left-out examples the others find at a false-alarm rate."""
        return int((self.p_values <= self.calibration.promise(rate)[0]).sum())


def fit(
    learner: Learner,
    views: Sequence[View],
    support: Support,
    *,
    rate: float,
    seed: int,
    context: Context = "auto",
    wholes: npt.NDArray[np.int64] | None = None,
) -> Fitted:
    """Adapt, calibrate, and leave examples out one at a time.

    Args:
        learner: a prior, or a learner that needs none; not changed.
        views: the columns of the support.
        support: examples and all background.
        rate: false-alarm rate that "enough found" is judged at.
        seed: of the adaptation.
        context: whether columns that tell of other records count.
        wholes: which whole thing each usual record is a window of, as ``calibrate`` takes it.
    """
    known = _both_sides_know(views, support)
    own = {v.name: known[v.name] & _own(v) for v in views}
    notes = _lacking(known)

    def make(keep: Keep, *more: str) -> Fitted:
        return _make(learner, views, support, keep, seed, (*notes, *more), wholes)

    if context == "yes" or all((known[name] == own[name]).all() for name in known):
        return make(known)
    alone = make(own)
    n = len(alone.left_out)
    if context == "no" or not n or alone.found(rate) >= ENOUGH * n:
        return alone
    full = make(known, _CONTEXT_NOTE)
    return full if full.found(rate) > alone.found(rate) else alone


def _make(
    learner: Learner,
    views: Sequence[View],
    support: Support,
    keep: Keep,
    seed: int,
    notes: tuple[str, ...],
    wholes: npt.NDArray[np.int64] | None,
) -> Fitted:
    """Adapt on some columns; a prior with fixed columns sees the others as unknown."""
    if learner.meta_trained and not learner.schema_free:
        support = _mapped(support, lambda name, x: np.where(keep[name], x, np.float32(np.nan)))
    else:
        support = _mapped(support, lambda name, x: x[:, keep[name]])
        views = [
            View(v.name, tuple(c for c, k in zip(v.columns, keep[v.name], strict=True) if k))
            for v in views
        ]
    detector, calibration, reference = calibrate(learner, support, seed=seed, wholes=wholes)
    used = support.with_usual(reference)
    left_out, p_values = leave_out(learner, used, calibration, seed=seed)
    held_out = _held_out(support.usual(), reference)
    return Fitted(detector, tuple(views), used, calibration, left_out, p_values, notes, held_out)


def _held_out(background: Encoded, reference: npt.NDArray[np.int64]) -> Encoded | None:
    """Return what calibrated, to calibrate with it again once records were marked."""
    rest = np.setdiff1d(np.arange(background.n_records), reference)
    if not len(rest):
        return None
    most = _HELD_OUT_BYTES // (4 * background.stacked().shape[1])
    if len(rest) > most:
        rest = rest[np.linspace(0, len(rest) - 1, most).astype(int)]
    return background.take(rest)


def leave_out(
    learner: Learner,
    support: Support,
    calibration: Calibration,
    *,
    seed: int,
    first: int | None = None,
) -> tuple[tuple[int, ...], Float64]:
    """Return which examples were left out, and the p-value of each without itself.

    A threat's only example is not left out: there would be no such threat.

    Args:
        learner: adapts to the others.
        support: the examples and the background.
        calibration: gives p-values.
        seed: of the adaptation.
        first: leave out only some of the first so many examples; None means all.
    """
    x, y = support.examples.x, support.examples.y
    rows = np.flatnonzero(np.bincount(y, minlength=support.n_way)[y] > 1)
    rows = rows[rows < (len(y) if first is None else first)]
    if len(rows) > _MOST_LEFT_OUT:
        rows = rows[np.linspace(0, len(rows) - 1, _MOST_LEFT_OUT).astype(int)]
    scores = np.empty(len(rows), np.float64)
    for k, row in enumerate(rows):
        others = support.without(int(row))
        scores[k] = learner.adapt(others, seed=seed).score(x.take(rows[k : k + 1])).alarm()[0]
    return tuple(rows.tolist()), calibration.p_values(scores)


def _both_sides_know(views: Sequence[View], support: Support) -> Keep:
    def known(x: FloatArray) -> npt.NDArray[np.bool_]:
        return np.asarray((~np.isnan(x)).any(axis=0), bool)

    examples, background = support.examples.x, support.background
    return {v.name: known(examples[v.name]) & known(background[v.name]) for v in views}


def _own(view: View) -> npt.NDArray[np.bool_]:
    return np.array([not column.context for column in view.columns], bool)


def _lacking(known: Keep) -> tuple[str, ...]:
    n_columns = sum(len(k) for k in known.values())
    n_lacking = n_columns - sum(int(k.sum()) for k in known.values())
    if n_lacking <= n_columns / 4:
        return ()
    return (f"{n_lacking} of {n_columns} columns are unknown on one side and left out",)


def _mapped(support: Support, change: Callable[[str, FloatArray], FloatArray]) -> Support:
    def of(x: Encoded) -> Encoded:
        return Encoded({name: change(name, x[name]) for name in x})

    examples = Labelled(of(support.examples.x), support.examples.y)
    return replace(support, examples=examples, background=of(support.background))
