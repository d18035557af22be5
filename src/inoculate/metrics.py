"""How good scores are, and how sure one can be of a difference.

References:
    Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006, section 7.
    Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves", ICML 2006.
    Wilcoxon, "Individual Comparisons by Ranking Methods", 1945; Holm, "A Simple Sequentially
    Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.floating]
Float64 = npt.NDArray[np.float64]


def auroc(negative: Numbers, positive: Numbers) -> float:
    """Return the chance that a positive scores above a negative, ties half.

    Example:
        >>> auroc(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
        0.875
    """
    low = np.sort(negative)
    below = np.searchsorted(low, positive, side="left")
    upto = np.searchsorted(low, positive, side="right")
    return float((below + upto).mean() / 2 / len(low))


def auprc(negative: Numbers, positive: Numbers, *, prevalence: float) -> float:
    """Return the area under precision over recall if a share ``prevalence`` were positive.

    The two sides are reweighted, so the numbers of records do not matter. Average precision:
    a sum of steps, one a distinct score.
    """
    scores = np.concatenate([negative, positive])
    hit = np.concatenate([np.zeros(len(negative)), np.ones(len(positive))])
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    recall = np.cumsum(hit[order])[last] / len(positive)
    false = np.cumsum(1 - hit[order])[last] / len(negative)
    found = prevalence * recall
    precision = found / (found + (1 - prevalence) * false)
    return float((np.diff(recall, prepend=0) * precision).sum())


def recall_at(negative: Numbers, positive: Numbers, rate: float) -> float:
    """Return the share of positives above the score that a share ``rate`` of negatives exceeds.

    Ties count against: a positive must score more than the first negative not allowed.
    """
    allowed = math.floor(rate * len(negative) + 1e-9)
    if allowed >= len(negative):
        return 1.0
    limit = np.sort(negative)[len(negative) - 1 - allowed]
    return float((positive > limit).mean())


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: Mapping[str, Sequence[float]], *, seed: int, n: int = 2_000, level: float = 0.95
) -> Interval:
    """Return the mean over classes, and its interval: classes are redrawn, then their draws.

    Args:
        values: the figure of each draw, by class; any number of draws, at least one each.
        seed: of the redrawing.
        n: times to redraw.
        level: of the interval.
    """
    rng, arrays = np.random.default_rng(seed), [np.asarray(v, float) for v in values.values()]
    means = np.empty(n)
    for i in range(n):
        chosen = rng.integers(len(arrays), size=len(arrays))
        means[i] = np.mean([rng.choice(arrays[c], len(arrays[c])).mean() for c in chosen])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.mean([a.mean() for a in arrays])), float(low), float(high))


def wilcoxon(a: Numbers, b: Numbers) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test of pairs.

    Normal approximation with ties corrected and without continuity correction, for 10 pairs and
    more that differ; pairs that do not differ are left out. 1 when none does.
    """
    gap = np.asarray(a, float) - np.asarray(b, float)
    gap = gap[gap != 0]
    if not len(gap):
        return 1.0
    size = np.abs(gap)
    _, inverse, counts = np.unique(size, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n = len(gap)
    spread = n * (n + 1) * (2 * n + 1) / 24 - (counts**3 - counts).sum() / 48
    z = (ranks[gap > 0].sum() - n * (n + 1) / 4) / math.sqrt(spread)
    return math.erfc(abs(z) / math.sqrt(2))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected for testing all of them, by name.

    Example:
        >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
        {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    corrected, largest, left = {}, 0.0, len(p_values)
    for name, p in sorted(p_values.items(), key=lambda item: item[1]):
        largest = max(largest, min(1.0, left * p))
        corrected[name], left = largest, left - 1
    return corrected
