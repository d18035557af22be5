"""How near a record is to a few examples, seen so that a fix does not move it.

A function before and after its fix is the same kind of function. So what is looked at are
columns in which functions differ and fixes do not: the covariance of functions, plus many times
that of fixes, is the metric. Both are meta-learned, since 600 columns have 180,000 covariances
and a user has a few hundred records.

References:
    Hatch, Kajarekar and Stolcke, "Within-class covariance normalization for SVM-based speaker
    recognition", Interspeech 2006, section 3: what changes while the class stays is divided out.
    Departures: beside the covariance of all records, as in a linear discriminant; the user's own
    background has a share in it.

    Spärck Jones, "A statistical interpretation of term specificity and its application in
    retrieval", Journal of Documentation 28, 1972, for weighing counts by their rarity. A sibling
    shares rare words with an example, which a covariance of few records does not see: the cosine
    of such counts is added. Departure: the counts are logarithms already.

    Rocchio, "Relevance feedback in information retrieval", 1971: half of the twins' weighed counts
    is taken from the examples', so that a near copy of the fixed side is less kin.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

_RIDGE = 0.1
_FEW = 100  # records from which on the background's own covariance has half its full share
_OWN = 0.5
_LEAST = 1e-6
_AGAINST = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """What is usual of a background, and how far from it is far.

    Attributes:
        mean: (d,) of the background in scales.
        factor: (d, d) lower Cholesky factor of the metric's matrix.
    """

    mean: Float64
    factor: Float64

    @classmethod
    def of(cls, rows: Float64, spread: Float64, fixes: Float64, weight: float) -> "Metric":
        """Return the metric of a background.

        Args:
            rows: (m, d) of it in scales, m at least 1.
            spread: (d, d) covariance of records, meta-learned.
            fixes: (d, d) second moment of what fixes change, meta-learned.
            weight: how often that counts.
        """
        mean = rows.mean(axis=0)
        centred = rows - mean
        own = _OWN * len(rows) / (len(rows) + _FEW)
        matrix = (1 - own) * spread + own * (centred.T @ centred) / len(rows) + weight * fixes
        level = max(float(np.trace(matrix)) / len(matrix), 1e-9)
        matrix[np.diag_indices_from(matrix)] += _RIDGE * level
        return cls(mean, np.linalg.cholesky(matrix))

    def towards(self, rows: Float64) -> Float64:
        """Return the weights (d,) that tell the mean of some rows from the background."""
        half = np.linalg.solve(self.factor, rows.mean(axis=0) - self.mean)
        return np.asarray(np.linalg.solve(self.factor.T, half))

    def kin(self, rows: Float64, examples: Float64, twins: Float64) -> "Kin":
        """Return what tells records like some examples, in deviations of a background.

        Args:
            rows: (m, d) of the background in scales.
            examples: (k, d) of what kin are sought of, k at least 1.
            twins: (t, d) of these made harmless; kin too, but for the words that only they have.
        """
        rarity = np.maximum(np.log((len(rows) + 1) / ((rows > 0).sum(axis=0) + 0.5)), 0.0)
        centre = _unit(examples * rarity).mean(axis=0)
        if len(twins):
            centre = centre - _AGAINST * _unit(twins * rarity).mean(axis=0)
        both = np.concatenate([examples, twins])
        found = Kin(self.mean, self.towards(both), rarity, centre, (1.0, 1.0))
        linear, cosine = found.parts(rows)
        units = max(float(linear.std()), _LEAST), max(float(cosine.std()), _LEAST)
        return Kin(self.mean, found.weights, rarity, centre, units)

    def distance(self, rows: Float64) -> Float64:
        """Return how far rows are from the background's mean, (n,)."""
        half = np.linalg.solve(self.factor, (rows - self.mean).T)
        return np.asarray(np.sqrt((half**2).sum(axis=0)))


@dataclass(frozen=True, slots=True, eq=False)
class Kin:
    """Likeness to some examples: a linear discriminant and a cosine of rare counts.

    Attributes:
        mean: (d,) of the background in scales.
        weights: (d,) of the discriminant.
        rarity: (d,) weight of each count, 0 where every record has it.
        centre: (d,) mean of the examples' weighed counts at length 1, less some of the twins'.
        units: standard deviations of both over the background.
    """

    mean: Float64
    weights: Float64
    rarity: Float64
    centre: Float64
    units: tuple[float, float]

    def parts(self, rows: Float64) -> tuple[Float64, Float64]:
        """Return the discriminant and the cosine of records in scales, (n,) each."""
        cosine = _unit(rows * self.rarity) @ self.centre
        return np.asarray((rows - self.mean) @ self.weights), np.asarray(cosine)

    def score(self, rows: Float64) -> Float64:
        """Return the sum of both in standard deviations of the background, (n,)."""
        linear, cosine = self.parts(rows)
        return np.asarray(linear / self.units[0] + cosine / self.units[1])


def _unit(rows: Float64) -> Float64:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _LEAST))
