"""Discriminant: a linear score under meta-learned scales and relevances, in a committee.

Text, calls and events become hundreds of hashed columns. How much such a column varies, and how
much it tells of threats, cannot be seen in five examples and 200 background records, but is much
the same for all threats of one kind of record: that is what is meta-learned, two numbers a
column. The rest is closed form, but for the two other methods of ``features.committee``.

References:
    Friedman, "Regularized Discriminant Analysis", JASA 84, 1989; see ``features.discriminant``.

    MacKay, "Bayesian Interpolation", Neural Computation 4, 1992, section 4, for a prior a column
    that many problems set (automatic relevance). Departure: not by maximising the evidence,
    but from variances between and within the meta-training classes, a class counting once,
    drawn towards 1.
"""

from collections.abc import Iterable
from typing import Self

import numpy as np

from inoculate.errors import ArtifactError, TaskError
from inoculate.features.committee import Committee, Sizes
from inoculate.features.discriminant import Float64, Relevance, logs
from inoculate.learner import Learner, State
from inoculate.task import BACKGROUND, FloatArray, Support, Task

_FLOOR = 0.05  # of a column's scale, in signed logs


class Discriminant(Learner):
    """The committee under meta-learned scales and relevances of columns; needs their prior.

    Adapting costs O(m d^2 + d^3), a forest and a logistic regression a class, about 0.5 s of 205
    records and 600 columns; scoring some 5 us a record. Without examples the score is a
    Mahalanobis distance under the learned scales.

    Args:
        ridge: least share of the mean variance added to each column's.
        n_prior: records that a spherical covariance counts as.
        n_prior_classes: meta-training classes that "every column says the same" counts as.
        relevance: power of the learned relevance that columns are weighed by; 0 for none.
        n_trees: trees a class.
        n_background: background records that trees and logistic regression are fitted beside;
            the discriminant takes all.
        n_points: background records that novelty is measured from beside examples.
    """

    meta_trained = True

    def __init__(
        self,
        *,
        ridge: float = 0.3,
        n_prior: float = 340.0,
        n_prior_classes: float = 4.0,
        relevance: float = 0.5,
        n_trees: int = 100,
        n_background: int = 512,
        n_points: int = 64,
    ) -> None:
        self.ridge = ridge
        self.n_prior = n_prior
        self.n_prior_classes = n_prior_classes
        self.relevance = relevance
        self.n_trees = n_trees
        self.n_background = n_background
        self.n_points = n_points
        self.scale_: FloatArray | None = None
        self.relevance_: FloatArray | None = None

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> Self:
        """Learn how columns vary and which tell threats; ``seed`` changes nothing.

        Raises:
            TaskError: there is no task, or they have different columns.
        """
        found: Relevance | None = None
        for task in tasks:
            background = logs(task.support.background.stacked())
            found = found or Relevance(background.shape[1], self.n_prior_classes)
            if background.shape[1] != found.width:
                raise TaskError(f"a task has {background.shape[1]} columns, expected {found.width}")
            _gather(found, task, background)
        if found is None:
            raise TaskError("no task to learn from")
        scale = found.scale(_FLOOR)
        self.scale_ = scale.astype(np.float32)
        self.relevance_ = found.relevance(scale).astype(np.float32)
        return self

    def adapt(self, support: Support, *, seed: int = 0) -> Committee:
        """Return the committee of a support set.

        Raises:
            TaskError: the learner was not meta-trained, or on other columns.
        """
        if self.scale_ is None or self.relevance_ is None:
            raise TaskError("discriminant needs meta-training first: give a prior")
        width = support.background.stacked().shape[1]
        if width != len(self.scale_):
            raise TaskError(f"{width} columns, the prior has {len(self.scale_)}")
        # what is new need not be what told threats before: there the scale alone counts
        power = self.relevance if support.n_way else 0.0
        weight = self.relevance_.astype(np.float64) ** power / self.scale_
        sizes = Sizes(self.ridge, self.n_prior, self.n_trees, self.n_background, self.n_points)
        return Committee.of(support, weight, sizes, seed=seed)

    def state(self) -> State:
        """Return scale and relevance of each column, once learned."""
        if self.scale_ is None or self.relevance_ is None:
            return {}
        return {"scale": self.scale_, "relevance": self.relevance_}

    def load_state(self, state: State) -> Self:
        """Take scale and relevance.

        Raises:
            ArtifactError: one is missing, they differ in size, or hold anything but positive
                numbers.
        """
        try:
            scale, relevance = (np.asarray(state[k], np.float32) for k in ("scale", "relevance"))
        except KeyError as err:
            raise ArtifactError(f"array {err} is missing") from err
        sound = all(np.isfinite(a).all() and (a > 0).all() for a in (scale, relevance))
        if scale.ndim != 1 or scale.shape != relevance.shape or not sound:
            raise ArtifactError(
                f"scale {scale.shape} and relevance {relevance.shape} must be positive, (d,) both"
            )
        self.scale_, self.relevance_ = scale, relevance
        return self


def _gather(found: Relevance, task: Task, background: Float64) -> None:
    query, support = task.query, task.support
    rows = logs(query.x.stacked())
    mean = found.add_background(np.concatenate([background, rows[query.y == BACKGROUND]]))
    examples = logs(support.examples.x.stacked())
    for c, name in enumerate(support.classes):
        mine = np.concatenate([examples[support.examples.y == c], rows[query.y == c]])
        found.add_class(f"{task.domain}/{name}", mine, mean)
