"""Committee: discriminant, logistic regression and extra trees together; no meta-training.

What ``discriminant`` is without a prior: columns are scaled by the background's own spread, and
every column is held for as relevant as any other.

References:
    See ``features.committee`` and ``features.discriminant``.
"""

from collections.abc import Iterable
from typing import Self

import numpy as np

from inoculate.features.committee import Committee as Adapted
from inoculate.features.committee import Sizes
from inoculate.features.discriminant import logs
from inoculate.learner import Learner, State
from inoculate.task import Support, Task

_FLOOR = 0.2  # of a column's scale, in signed logs: few records may all say 0


class Committee(Learner):
    """Adds discriminant, logistic regression and trees; any columns, no meta-training.

    Adapting costs O(m d^2 + d^3), a forest and a logistic regression a class; scoring some 5 us
    a record. Without examples the score is a Mahalanobis distance.

    Args:
        ridge: least share of the mean variance added to each column's.
        n_prior: records that a spherical covariance counts as.
        n_trees: trees a class.
        n_background: background records that trees and logistic regression are fitted beside;
            the discriminant takes all.
        n_points: background records that novelty is measured from beside examples.
    """

    def __init__(
        self,
        *,
        ridge: float = 0.3,
        n_prior: float = 340.0,
        n_trees: int = 100,
        n_background: int = 512,
        n_points: int = 64,
    ) -> None:
        self.ridge = ridge
        self.n_prior = n_prior
        self.n_trees = n_trees
        self.n_background = n_background
        self.n_points = n_points

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> Self:
        """Return self: nothing is learned across tasks."""
        return self

    def adapt(self, support: Support, *, seed: int = 0) -> Adapted:
        """Return the committee of a support set."""
        rows = logs(support.background.stacked())
        known = np.isfinite(rows)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, rows, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(known, rows - mean, 0.0) ** 2).sum(axis=0) / count)
        sizes = Sizes(self.ridge, self.n_prior, self.n_trees, self.n_background, self.n_points)
        return Adapted.of(support, 1 / (spread + _FLOOR), sizes, seed=seed)

    def state(self) -> State:
        """Return no arrays."""
        return {}

    def load_state(self, state: State) -> Self:
        """Return self: there is nothing to take."""
        return self
