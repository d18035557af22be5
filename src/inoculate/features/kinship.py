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
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

_RIDGE = 0.1
_FEW = 100  # records from which on the background's own covariance has half its full share
_OWN = 0.5


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

    def distance(self, rows: Float64) -> Float64:
        """Return how far rows are from the background's mean, (n,)."""
        half = np.linalg.solve(self.factor, (rows - self.mean).T)
        return np.asarray(np.sqrt((half**2).sum(axis=0)))
