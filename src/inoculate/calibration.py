"""Thresholds that are promises: split-conformal calibration on background.

A benign record's p-value is the share of benign records that score as high. If background and
the scanned benign records are exchangeable, at most a share ``rate`` of them gets a p-value of
``rate`` or less, whatever the scores are. Contaminated background makes it conservative.

Where records are windows of something longer, a trace say, those of one trace are much alike: they
are kept on one side of every split, and the largest score of each background trace is kept
too. Against these a trace of n windows is judged as a whole, whose n chances they had as well.

Ties count against the alarm: a record that scores the same as a background record is held to
be no stranger than it, so tied scores can lower the realised rate but never raise it.

References:
    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section 4.1.
    Angelopoulos and Bates, "Conformal Prediction: A Gentle Introduction", 2023, section 1.
    Vovk, "Cross-conformal predictors", Annals of Mathematics and AI, 2015, section 3, for small
    background. Departures: the folds' scores are pooled against a detector adapted on all of it,
    and each is at least that detector's own score of the record. Detectors differ a little from
    fold to fold: where background repeats itself that little would else be all that the
    threshold is made of, and everything would alarm.
"""

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from inoculate.errors import TaskError
from inoculate.learner import Detector, Learner
from inoculate.task import FloatArray, IntArray, Support

Float64 = npt.NDArray[np.float64]

FEWEST_WHOLES = 20
"""With fewer traces in the background their windows are taken for records of their own."""

CROSS_BELOW = 2_000
"""With fewer background records, every one both adapts and calibrates (cross-conformal)."""
MOST = 20_000
"""Calibration records beyond this are left out: they would change nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Alarm scores of background records that the detector had not seen.

    Args:
        scores: (n,) finite alarm scores in increasing order, at least one.
        maxima: (m,) the largest score of each whole thing that records are windows of, in
            increasing order; empty where records stand alone.

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
    maxima: Float64 = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        """Check the scores."""
        for s in (self.scores, self.maxima):
            if s.ndim != 1 or not np.isfinite(s).all() or (np.diff(s) < 0).any():
                raise TaskError("calibration needs finite scores in increasing order")
        if not len(self.scores):
            raise TaskError("calibration needs finite scores in increasing order, at least one")

    @classmethod
    def of(
        cls, scores: npt.NDArray[np.floating], wholes: npt.NDArray[np.int64] | None = None
    ) -> "Calibration":
        """Return the calibration of scores in any order.

        Args:
            scores: (n,).
            wholes: (n,) which whole thing each record is a window of; None where they stand alone.
        """
        known = np.asarray(scores, np.float64)
        if wholes is None:
            return cls(np.sort(known))
        names, place = np.unique(wholes, return_inverse=True)
        maxima = np.full(len(names), -np.inf)
        np.maximum.at(maxima, place, known)
        return cls(np.sort(known), np.sort(maxima))

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
    learner: Learner,
    support: Support,
    *,
    seed: int = 0,
    folds: int = 5,
    reference: int = 1_000,
    wholes: IntArray | None = None,
) -> tuple[Detector, Calibration, IntArray]:
    """Adapt a detector and calibrate it on the same background, never on records it has seen.

    Up to ``CROSS_BELOW`` background records: each fold is scored by a detector adapted without
    it, all examples kept, and by the one returned, which is adapted on everything. From there on, a
    random ``reference`` of them adapts and the rest (at most ``MOST``) calibrates.

    Args:
        learner: a prior; not changed.
        support: the examples and all background.
        seed: of the folds or the draw, and of the adaptation.
        folds: parts of a small background.
        reference: records of a large background to adapt on; about so many with ``wholes``.
        wholes: (n,) which whole thing each usual record is a window of. They stay together where
            there are ``FEWEST_WHOLES`` of them or more, and else are not regarded.

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
    if wholes is not None and len(np.unique(wholes)) < FEWEST_WHOLES:
        wholes = None
    if n >= CROSS_BELOW:
        rows, rest = _split(order, reference, wholes)
        detector = learner.adapt(support.with_usual(rows), seed=seed)
        held_out = detector.score(usual.take(rest)).alarm()
        return detector, Calibration.of(held_out, None if wholes is None else wholes[rest]), rows
    detector = learner.adapt(support, seed=seed)
    scores = cross_scores(
        learner, detector, support, order, folds=min(folds, n), seed=seed, wholes=wholes
    )
    return detector, Calibration.of(scores, wholes), np.arange(n, dtype=np.int64)


def _split(order: IntArray, reference: int, wholes: IntArray | None) -> tuple[IntArray, IntArray]:
    """Return the rows to adapt on and those to calibrate with, in order."""
    if wholes is None:
        return np.sort(order[:reference]), np.sort(order[reference : reference + MOST])
    names, first, sizes = np.unique(wholes[order], return_index=True, return_counts=True)
    chosen, total = [], 0
    for at in np.argsort(first):
        # a trace as long as that is left to calibrate
        if total < reference and total + sizes[at] <= 2 * reference:
            chosen.append(names[at])
            total += int(sizes[at])
    mine = np.isin(wholes, chosen or [names[sizes.argmin()]])
    return np.flatnonzero(mine), np.flatnonzero(~mine)


def cross_scores(
    learner: Learner,
    detector: Detector,
    support: Support,
    order: IntArray,
    *,
    folds: int,
    seed: int,
    wholes: IntArray | None = None,
) -> FloatArray:
    """Return each usual record's score by a detector adapted without its fold, (n,).

    It is the given detector's score where that is higher, so that no record which equals one of
    the background counts as stranger than it.

    Args:
        learner: a prior; not changed.
        detector: adapted on all of it.
        support: the examples and all background.
        order: of the usual records, or of what they are windows of, when dealt to folds.
        folds: so many.
        seed: of the adaptation.
        wholes: (n,) which whole thing each record is a window of; its windows share a fold.
    """
    usual = support.usual()
    scores = np.empty(len(order), np.float32)
    dealt = np.empty(len(order), np.int64)
    dealt[order] = np.arange(len(order)) % folds
    if wholes is not None:
        fold_of = {name: i for i, name in enumerate(dict.fromkeys(wholes[order].tolist()))}
        dealt = np.array([fold_of[name] % folds for name in wholes.tolist()])
    for fold in range(folds):
        out = np.flatnonzero(dealt == fold)
        kept = np.setdiff1d(order, out)
        without = learner.adapt(support.with_usual(kept), seed=seed)
        scores[out] = without.score(usual.take(out)).alarm()
    return np.maximum(scores, detector.score(usual).alarm())


def _floor(rate: float, n: int) -> int:
    # decimals as written: 0.07 * 100 is 7.000000000000001 in binary, 0.29 * 100 is 28.99...
    return math.floor(Fraction(str(rate)) * n)


def _round_up(rate: float) -> float:
    digits = 1 - math.floor(math.log10(rate))
    return float(math.ceil(Fraction(str(rate)) * 10**digits) / 10**digits)


def _percent(rate: float) -> str:
    return f"{rate * 100:.4g} %"
