"""Three simple methods of different kinds on one support set, their scores added.

A linear discriminant knows the background's covariance, logistic regression the records near the
border, extra trees what is not linear. Each score is taken in standard deviations of background.
Of few columns the linear two count less: a table's own quantities interact, hundreds of hashed
counts mostly add up (on meta-training classes of five tables; decision 0006).

References:
    Friedman, "Regularized Discriminant Analysis", JASA 84, 1989; see ``features.discriminant``.
    Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006.
    Kittler et al., "On Combining Classifiers", TPAMI 20, 1998, section 3.2 (sum rule).
"""

from dataclasses import dataclass

import numpy as np

from inoculate.features.discriminant import Float64, Sphered, logs
from inoculate.features.forest import Forest, grow_forest
from inoculate.features.logistic import fit_logistic
from inoculate.features.space import Novelty, Space, balanced_weights
from inoculate.learner import Scores
from inoculate.task import Encoded, FloatArray, IntArray, Support

_ROWS = 4_096  # rows at a time: memory stays bounded
_TREES_UNIT = 1.7  # usual standard deviation of background's log-odds from trees,
_LOGISTIC_UNIT = 1.3  # and from logistic regression
_LOGISTIC_SHARE = 0.5  # it sees much the same as the discriminant
_ALL_LINEAR = 300  # columns from which on the linear two count in full
_LEAST = 1e-3  # a share of examples below this is none
_MIN_LEAF, _PENALTY = 4, 0.01


@dataclass(frozen=True, slots=True)
class Sizes:
    """How the methods are fitted.

    Attributes:
        ridge: least share of the mean variance added to each column's.
        n_prior: records that a spherical covariance counts as.
        n_trees: trees a class.
        n_background: background records beside which trees and logistic regression are fitted.
        n_points: background records that novelty is measured from beside examples.
    """

    ridge: float
    n_prior: float
    n_trees: int
    n_background: int
    n_points: int


@dataclass(frozen=True, slots=True, eq=False)
class Committee:
    """The methods, adapted.

    Attributes:
        sphered: the background as the discriminant sees it.
        directions: (d, n_way).
        offsets: (n_way,) to subtract.
        space: where the other two look.
        planes: (c + f + 1, n_way) of logistic regression, intercept last.
        forests: one a class.
        novelty: beside examples, distance to background; None without.
    """

    sphered: Sphered
    directions: Float64
    offsets: Float64
    space: Space
    planes: FloatArray
    forests: tuple[Forest, ...]
    novelty: Novelty | None

    @classmethod
    def of(cls, support: Support, weight: Float64, sizes: Sizes, *, seed: int) -> "Committee":
        """Return the methods fitted on a support set.

        Args:
            support: the support set.
            weight: (d,) of the columns in the discriminant's space.
            sizes: how to fit.
            seed: of the trees, and of the background they see.
        """
        y, space = support.examples.y, Space.of(support)
        sphered = Sphered.of(
            logs(support.background.stacked()), weight, ridge=sizes.ridge, n_prior=sizes.n_prior
        )
        placed = sphered.place(logs(support.examples.x.stacked()))
        sides = [sphered.direction(placed[y == c].mean(axis=0)) for c in range(support.n_way)]
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.permutation(len(space.background))[: sizes.n_background])
        x = space.dense(np.concatenate([space.background[rows], space.examples]))
        return cls(
            sphered,
            np.array([w for w, _ in sides]).reshape(len(sides), len(weight)).T,
            np.array([offset for _, offset in sides]),
            space,
            _planes(x, y, support.n_way),
            _forests(x, y, support.n_way, sizes.n_trees, seed),
            Novelty.of(space, sizes.n_points) if support.n_way else None,
        )

    def score(self, x: Encoded) -> Scores:
        """Return the sum of the three, and novelty.

        Raises:
            TaskError: the records have another number of columns.
        """
        n = x.n_records
        threat = np.zeros((n, len(self.offsets)), np.float32)
        novelty = np.zeros(n, np.float32)
        for start in range(0, n, _ROWS):
            block = slice(start, min(start + _ROWS, n))
            part = x.take(np.arange(block.start, block.stop))
            z = self.space.z(part)
            placed = self.sphered.place(logs(part.stacked()))
            if self.novelty is None:
                novelty[block] = np.log1p(self.sphered.distance(placed))
                continue
            novelty[block] = self.novelty.score(z)
            threat[block] = self._sum(placed, self.space.dense(z))
        return Scores(threat, novelty)

    def _sum(self, placed: Float64, dense: FloatArray) -> FloatArray:
        odds = dense @ self.planes[:-1] + self.planes[-1]
        linear = placed @ self.directions - self.offsets
        linear += odds * (_LOGISTIC_SHARE / _LOGISTIC_UNIT)
        columns = np.ascontiguousarray(dense.T)
        shares = np.stack([forest.mean_value(columns) for forest in self.forests], axis=1)
        trees = np.log((shares + _LEAST) / (1 - shares + _LEAST))
        share = min(1.0, placed.shape[1] / _ALL_LINEAR)
        return np.asarray(trees / _TREES_UNIT + share * linear, np.float32)


def _planes(x: FloatArray, y: IntArray, n_way: int) -> FloatArray:
    n_background = len(x) - len(y)
    planes = [
        fit_logistic(x, balanced_weights(n_background, y == c), penalty=_PENALTY)
        for c in range(n_way)
    ]
    return np.array(planes, np.float32).reshape(n_way, x.shape[1] + 1).T


def _forests(x: FloatArray, y: IntArray, n_way: int, n_trees: int, seed: int) -> tuple[Forest, ...]:
    return tuple(
        grow_forest(
            x,
            balanced_weights(len(x) - len(y), y == c),
            n_trees=n_trees,
            n_tried=int(np.ceil(np.sqrt(x.shape[1]))),
            min_leaf=_MIN_LEAF,
            rng=np.random.default_rng(seed),
        )
        for c in range(n_way)
    )
