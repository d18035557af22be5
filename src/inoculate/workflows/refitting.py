"""Adapts a detector again with what its users said of findings; the promise stays kept.

A record marked as a threat is one more example, and leaves the background if it lies there. A
record marked as benign joins the background some times over, or one among a thousand would
weigh nothing; how often is bounded. It never calibrates: it was picked because it scored high,
so it is not exchangeable with background, and its score by a detector that was told of it is
too low for a record that was not. Calibration stays the background's, each record at the higher
of two scores: by the detector told of the marks, and by the one that was not. So marks can raise
the threshold and never lower it: what they silence is not made up for by other false alarms, and
background that was marked itself, as when it is scanned, counts as if nobody had told.
See docs/decisions/0005-feedback.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inoculate.calibration import Calibration
from inoculate.errors import LabelError
from inoculate.learner import Detector, Learner
from inoculate.task import Encoded, FloatArray, IntArray, Labelled, Support

LARGEST_STEP = 0.05
"""Copies of one marked record, as a share of the background that it joins."""
MOST_MARKED = 0.25
"""Copies of all records marked as benign, as a share of the background that they join."""

_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What a line of versions began with: a detector that was adapted and never marked.

    Attributes:
        learner: what is adapted.
        support: examples and the user's own background.
        held_out: background that calibrates; None where that of ``support`` does, in folds.
        seed: of the adaptation.
    """

    learner: Learner
    support: Support
    held_out: Encoded | None
    seed: int

    @property
    def n_examples(self) -> int:
        """Number of original examples; they come first in every version."""
        return len(self.support.examples)

    def seen(self, x: Encoded) -> Encoded:
        """Return records as the detector sees them: without columns it knows nothing of."""
        mine = Encoded.concat([self.support.examples.x, self.support.background])
        return Encoded(
            {k: np.where(np.isnan(mine[k]).all(axis=0), np.float32(np.nan), x[k]) for k in x}
        )


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Marked records.

    Attributes:
        x: n records as ``Start.seen`` returns them.
        threats: name of each one's threat; None for benign.
        copies: (n,) how often each counts in the background; 1 for threats.
    """

    x: Encoded
    threats: tuple[str | None, ...]
    copies: IntArray

    def benign(self) -> npt.NDArray[np.bool_]:
        """Return which are benign, (n,)."""
        return np.array([threat is None for threat in self.threats], bool)


@dataclass(frozen=True, slots=True, eq=False)
class Refitted:
    """A detector adapted with marks.

    Attributes:
        detector: the learner adapted to ``support``.
        support: original examples and marked ones; own background, then copies of marks.
        calibration: of the background, no record lower than without the benign marks.
        plain: the background's scores by this detector alone, to compare today's with.
        n_own: records of the background, after twins, that are the user's own.
    """

    detector: Detector
    support: Support
    calibration: Calibration
    plain: FloatArray
    n_own: int


def rows_of(x: Encoded) -> list[bytes]:
    """Return each record as bytes that are the same where all columns are, unknown included."""
    table = np.ascontiguousarray(x.stacked()) + np.float32(0)  # minus zero is zero
    table[np.isnan(table)] = np.nan
    return [row.tobytes() for row in table]


def steps(n_background: int) -> list[int]:
    """Return the copies to try for a record marked as benign, few first.

    Example:
        >>> steps(1000), steps(30)
        ([1, 4, 16, 50], [1])
    """
    most = max(1, int(LARGEST_STEP * n_background))
    return [c for c in (1, 4, 16, 64, 256, 1024) if c < most] + [most]


def refit(start: Start, marks: Marks) -> Refitted:
    """Adapt with marks, and calibrate.

    Raises:
        LabelError: too many copies, or a background that the threats leave too little of.
    """
    benign = marks.benign()
    x, threats = marks.x.take(~benign), tuple(t for t in marks.threats if t is not None)
    told = set(rows_of(x)) if len(threats) else set()
    own, held_out = _less(start.support.usual(), told), start.held_out
    held_out = _less(held_out, told) if held_out is not None else None
    if own.n_records < 2 or (held_out is not None and held_out.n_records < 2):
        raise LabelError("with these threats left out no background remains; adapt again")
    _check_share(int(marks.copies[benign].sum()), own.n_records)
    base = _with_examples(start.support, x, threats, own)
    copies = marks.x.take(np.repeat(np.flatnonzero(benign), marks.copies[benign]))
    support = _with_background(base, copies)
    detector = start.learner.adapt(support, seed=start.seed)
    if held_out is not None:
        plain = detector.score(held_out).alarm()
        untold = start.learner.adapt(base, seed=start.seed).score(held_out).alarm()
    else:
        plain = _cross_scores(start, base, copies)
        untold = _cross_scores(start, base, copies.take(np.arange(0)))
        # what equals background is no stranger than it (calibration.cross_scores)
        untold = np.maximum(untold, detector.score(base.usual()).alarm())
    calibration = Calibration.of(np.maximum(plain, untold))
    return Refitted(detector, support, calibration, np.sort(plain), own.n_records)


def _check_share(n_copies: int, n_background: int) -> None:
    if n_copies > max(1.0, MOST_MARKED * n_background):
        raise LabelError(
            f"records marked as benign would count {n_copies:,} times in a background of "
            f"{n_background:,}, more than {100 * MOST_MARKED:.0f} %: adapt again with recent "
            "background that holds them"
        )


def _less(x: Encoded, told: set[bytes]) -> Encoded:
    if not told:
        return x
    return x.take(np.array([row not in told for row in rows_of(x)], bool))


def _with_examples(
    support: Support, x: Encoded, threats: Sequence[str], background: Encoded
) -> Support:
    """Return a support set with more examples, in another usual background.

    New classes come after the known ones, twins stay where they are.
    """
    classes = (*support.classes, *sorted(set(threats) - set(support.classes)))
    y = np.array([classes.index(t) for t in threats], np.int64)
    examples = Labelled(
        Encoded.concat([support.examples.x, x]), np.concatenate([support.examples.y, y])
    )
    twins = support.background.take(np.arange(support.n_twins))
    background = Encoded.concat([twins, background])
    return Support(examples, background, classes, support.n_twins)


def _with_background(support: Support, more: Encoded) -> Support:
    return replace(support, background=Encoded.concat([support.background, more]))


def _cross_scores(start: Start, base: Support, copies: Encoded) -> FloatArray:
    """Return each usual record's score by a detector adapted without its fold, (n,).

    Every detector is told of the marks. The folds are the same for the same background.
    """
    usual = base.usual()
    n = usual.n_records
    order = np.random.default_rng(start.seed).permutation(n)
    folds = min(_FOLDS, n)
    scores = np.empty(n, np.float32)
    for fold in range(folds):
        out = np.sort(order[fold::folds])
        less = _with_background(base.with_usual(np.setdiff1d(order, out)), copies)
        detector = start.learner.adapt(less, seed=start.seed)
        scores[out] = detector.score(usual.take(out)).alarm()
    return scores
