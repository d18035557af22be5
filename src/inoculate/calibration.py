"""Thresholds that are promises: split-conformal calibration on background.

A benign record's p-value is the share of benign records that score as high. If background and
the scanned benign records are exchangeable, at most a share ``rate`` of them gets a p-value of
``rate`` or less, whatever the scores are. Contaminated background makes it conservative.

Ties count against the alarm: a record that scores the same as a background record is held to
be no stranger than it, so tied scores can lower the realised rate but never raise it.

References:
    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section 4.1.
    Angelopoulos and Bates, "Conformal Prediction: A Gentle Introduction", 2023, section 1.
    Vovk, "Cross-conformal predictors", Annals of Mathematics and AI, 2015, section 3, for small
    background. Departure: the folds' scores are pooled against a detector adapted on all of it.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from inoculate.errors import TaskError
from inoculate.learner import Detector, Learner
from inoculate.task import FloatArray, Support

Float64 = npt.NDArray[np.float64]

CROSS_BELOW = 2_000
"""With fewer background records, every one both adapts and calibrates (cross-conformal)."""
MOST = 20_000
"""Calibration records beyond this are left out: they would change nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Alarm scores of background records that the detector had not seen.

    Args:
        scores: (n,) finite alarm scores in increasing order, at least one.

    Raises:
        TaskError: no score, one that is not finite, or not in increasing order.

    Example:
        >>> c = Calibration(np.arange(1.0, 100.0))
        >>> c.p_values(np.array([99.5, 99.0, 0.0])).tolist()
        [0.01, 0.02, 1.0]
        >>> c.threshold(0.01) > 99.0, c.threshold(0.001)
        (True, inf)
    """

    scores: Float64

    def __post_init__(self) -> None:
        """Check the scores."""
        s = self.scores
        if s.ndim != 1 or not len(s) or not np.isfinite(s).all() or (np.diff(s) < 0).any():
            raise TaskError("calibration needs finite scores in increasing order, at least one")

    @classmethod
    def of(cls, scores: npt.NDArray[np.floating]) -> "Calibration":
        """Return the calibration of scores in any order."""
        return cls(np.sort(np.asarray(scores, np.float64)))

    def __len__(self) -> int:
        """Return the number of background records it rests on."""
        return len(self.scores)

    @property
    def smallest_rate(self) -> float:
        """The smallest rate that can be promised: 1 / (n + 1)."""
        return 1 / (len(self) + 1)

    def p_values(self, scores: npt.NDArray[np.floating]) -> Float64:
        """Return (1 + number of background scores as high) / (n + 1), (m,), in (0, 1]."""
        as_high = len(self) - np.searchsorted(self.scores, scores, side="left")
        return (1 + as_high) / (len(self) + 1)

    def threshold(self, rate: float) -> float:
        """Return the smallest score whose p-value is at most ``rate``; inf when there is none.

        ``score >= threshold(rate)`` says the same as ``p_values(score) <= rate``, for float64
        scores.
        """
        allowed = _floor(rate, len(self) + 1) - 1  # background scores that may be as high
        if allowed < 0:
            return math.inf
        if allowed >= len(self):
            return -math.inf
        return float(np.nextafter(self.scores[len(self) - 1 - allowed], np.inf))

    def promise(self, rate: float) -> tuple[float, str | None]:
        """Return the rate that is kept, and a line for the user when it is not the one asked.

        Raises:
            TaskError: the rate is not between 0 and 1.
        """
        if not 0 < rate <= 1:
            raise TaskError(f"false-alarm rate is {rate}, expected more than 0 and at most 1")
        if _floor(rate, len(self) + 1) >= 1:
            return rate, None
        nearest = _round_up(self.smallest_rate)
        return nearest, (
            f"{_percent(rate)} needs at least {records_needed(rate):,} background records, here "
            f"are {len(self):,}: the nearest promise that holds is {_percent(nearest)}"
        )


def records_needed(rate: float) -> int:
    """Return how many background records the promise of a rate needs, as a round figure.

    One less is enough, since a p-value has n + 1 in its denominator.

    Example:
        >>> records_needed(0.01), records_needed(0.001)
        (100, 1000)
    """
    return math.ceil(1 / Fraction(str(rate)))


def realised_rate(calibration: Calibration, benign: npt.NDArray[np.floating], rate: float) -> float:
    """Return the share of fresh benign scores that alarm at a promised rate."""
    return float((benign >= calibration.threshold(rate)).mean())


def calibrate(
    learner: Learner, support: Support, *, seed: int = 0, folds: int = 5, reference: int = 1_000
) -> tuple[Detector, Calibration, npt.NDArray[np.int64]]:
    """Adapt a detector and calibrate it on the same background, never on records it has seen.

    Up to ``CROSS_BELOW`` background records: each fold is scored by a detector adapted without
    it, all examples kept; the detector returned is adapted on everything. From there on, a
    random ``reference`` of them adapts and the rest (at most ``MOST``) calibrates.

    Args:
        learner: a prior; not changed.
        support: the examples and all background.
        seed: of the folds or the draw, and of the adaptation.
        folds: parts of a small background.
        reference: records of a large background to adapt on.

    Returns:
        The detector, its calibration, and the rows of the usual background (twins left out)
        that the detector was adapted on.

    Raises:
        TaskError: fewer than two background records.
    """
    usual = support.usual()
    n = usual.n_records
    if n < 2:
        raise TaskError(f"calibration needs at least two background records, here is {n}")
    order = np.random.default_rng(seed).permutation(n)
    if n >= CROSS_BELOW:
        rows, rest = np.sort(order[:reference]), order[reference : reference + MOST]
        detector = learner.adapt(support.with_usual(rows), seed=seed)
        held_out = detector.score(usual.take(np.sort(rest))).alarm()
        return detector, Calibration.of(held_out), rows
    scores = cross_scores(learner, support, order, folds=min(folds, n), seed=seed)
    detector = learner.adapt(support, seed=seed)
    return detector, Calibration.of(scores), np.arange(n, dtype=np.int64)


def cross_scores(
    learner: Learner, support: Support, order: npt.NDArray[np.int64], *, folds: int, seed: int
) -> FloatArray:
    """Return each usual record's alarm score by a detector adapted without its fold, (n,)."""
    usual = support.usual()
    scores = np.empty(len(order), np.float32)
    for fold in range(folds):
        out = np.sort(order[fold::folds])
        kept = np.setdiff1d(order, out)
        detector = learner.adapt(support.with_usual(kept), seed=seed)
        scores[out] = detector.score(usual.take(out)).alarm()
    return scores


def _floor(rate: float, n: int) -> int:
    # decimals as written: 0.07 * 100 is 7.000000000000001 in binary, 0.29 * 100 is 28.99...
    return math.floor(Fraction(str(rate)) * n)


def _round_up(rate: float) -> float:
    digits = 1 - math.floor(math.log10(rate))
    return float(math.ceil(Fraction(str(rate)) * 10**digits) / 10**digits)


def _percent(rate: float) -> str:
    return f"{rate * 100:.4g} %"
