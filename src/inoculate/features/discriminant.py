"""Linear discriminants in a space whose scale and relevance are known beforehand.

Background has mean 0 and one covariance, a class the same covariance and another mean: the best
score is linear, and how new a record is, is its Mahalanobis distance. Both need the covariance
of many columns from few records, so it is drawn towards a sphere.

References:
    Friedman, "Regularized Discriminant Analysis", JASA 84, 1989, equation 18 (shrinkage towards
    a multiple of the identity). Departures: the covariance is the background's alone, since
    there are only a few examples; the shrinkage is set by the number of records.

    Mahalanobis, "On the generalised distance in statistics", 1936.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inoculate.task import FloatArray

Float64 = npt.NDArray[np.float64]

_FARTHEST = 1_000.0  # standard deviations of the background between it and a class


def logs(x: FloatArray) -> Float64:
    """Return signed logarithms, sign(x) log(1 + |x|); NaN stays."""
    wide = x.astype(np.float64)
    return np.asarray(np.sign(wide) * np.log1p(np.abs(wide)))


@dataclass(frozen=True, slots=True, eq=False)
class Sphered:
    """Background in the space: its mean, and the inverse of its shrunk covariance.

    Attributes:
        mean: (d,) of the background's signed logs.
        weight: (d,) that centred columns are multiplied with.
        covariance: (d, d) of the background in the space.
        inverse: (d, d) of the shrunk covariance.
        shrinkage: share of the mean variance that was added to each column's.
    """

    mean: Float64
    weight: Float64
    covariance: Float64
    inverse: Float64
    shrinkage: float

    @classmethod
    def of(cls, background: Float64, weight: Float64, *, ridge: float, n_prior: float) -> "Sphered":
        """Return the space of a background.

        Args:
            background: (m, d) signed logs, NaN where unknown, m at least 1.
            weight: (d,) of the columns, 1 / scale say.
            ridge: least share of the mean variance that is added to each column's.
            n_prior: records that the sphere counts as; it adds ``n_prior / m`` to ``ridge``.
        """
        known = np.isfinite(background)
        total = np.where(known, background, 0.0).sum(axis=0)
        mean = total / np.maximum(known.sum(axis=0), 1)
        rows = _placed(background, mean, weight)
        m, d = rows.shape
        covariance = rows.T @ rows / m
        sphere = max(float(np.trace(covariance)) / max(d, 1), 1e-9)
        shrinkage = ridge + n_prior / m
        shrunk = covariance + shrinkage * sphere * np.eye(d)
        return cls(mean, weight, covariance, np.linalg.inv(shrunk), shrinkage)

    def place(self, x: Float64) -> Float64:
        """Return signed logs (n, d) in the space: the background's mean is 0, so is unknown."""
        return _placed(x, self.mean, self.weight)

    def direction(self, mean: Float64) -> tuple[Float64, float]:
        """Return what tells a class from background: weights (d,) and what to subtract.

        Scores are in standard deviations of the background; 0 is halfway to the class, which
        lies at most 1,000 of them away, or of a background that never varies rounding errors
        would be all that is measured.

        Args:
            mean: (d,) of the class in the space.
        """
        w = self.inverse @ mean
        apart = float(mean @ w)
        unit = max(np.sqrt(max(float(w @ self.covariance @ w), 0.0)), apart / _FARTHEST, 1e-6)
        return w / unit, apart / (2 * unit)

    def distance(self, placed: Float64) -> Float64:
        """Return the squared Mahalanobis distance of records in the space, (n,).

        Times the shrinkage: else it would grow with the background, and what left-out records
        of a smaller one get would not be comparable.
        """
        found = np.einsum("nd,nd->n", placed @ self.inverse, placed)
        return np.asarray(found * self.shrinkage)


def _placed(x: Float64, mean: Float64, weight: Float64) -> Float64:
    return np.nan_to_num((x - mean) * weight, copy=False, nan=0.0)


@dataclass(eq=False)
class Relevance:
    """Gathers over many tasks how columns vary, and which tell threats from background.

    Attributes:
        width: columns.
        n_prior: classes that "every column says the same" counts as.
    """

    width: int
    n_prior: float
    _MOST = 9.0  # three scales apart is apart

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self._n_tasks = np.zeros(self.width)
        self._variance = np.zeros(self.width)
        self._classes: dict[str, tuple[list[Float64], list[Float64]]] = {}

    def add_background(self, x: Float64) -> Float64:
        """Take a task's ordinary records, (n, d) signed logs, and return their mean."""
        known = np.isfinite(x)
        seen = known.sum(axis=0) > 0
        mean = np.where(known, x, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        square = (np.where(known, x - mean, 0.0) ** 2).sum(axis=0)
        self._variance += square / np.maximum(known.sum(axis=0), 1)
        self._n_tasks += seen
        return np.asarray(mean)

    def add_class(self, name: str, x: Float64, background: Float64) -> None:
        """Take records of a class, (n, d), beside the mean of its task's background, (d,)."""
        known = np.isfinite(x)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, x, background).sum(axis=0) / np.maximum(len(x), 1)
        spread = (np.where(known, x - mean, 0.0) ** 2).sum(axis=0) / count
        moves, spreads = self._classes.setdefault(name, ([], []))
        moves.append(mean - background)
        spreads.append(spread)

    def scale(self, floor: float) -> Float64:
        """Return the standard deviation of ordinary records within a task, (d,), plus a floor."""
        return np.asarray(np.sqrt(self._variance / np.maximum(self._n_tasks, 1)) + floor)

    def relevance(self, scale: Float64) -> Float64:
        """Return between-class over within-class variance, (d,), drawn towards 1.

        A class counts once, however often it was drawn; columns are compared in units of
        ``scale``.
        """
        between, within = np.full(self.width, self.n_prior), np.full(self.width, self.n_prior)
        for moves, spreads in self._classes.values():
            between += _shares(np.mean(moves, axis=0) ** 2 / scale**2, self._MOST)
            within += _shares(np.mean(spreads, axis=0) / scale**2, self._MOST)
        return np.asarray(between / within)


def _shares(values: Float64, most: float) -> Float64:
    clipped = np.minimum(values, most)
    return np.asarray(clipped / max(float(clipped.mean()), 1e-12))
