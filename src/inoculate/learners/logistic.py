"""Ridge-penalised logistic regression on reference-normalised columns.

References:
    Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd ed., 2009,
    section 4.4.1, equation 4.26 (Newton steps). Departures: a ridge penalty on all but the
    intercept, classes balanced, steps halved while the loss rises.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from inoculate.features.space import Novelty, Space, balanced_weights
from inoculate.learner import Learner, Scores, State
from inoculate.task import Encoded, FloatArray, Support, Task

Float64 = npt.NDArray[np.float64]

_ROWS = 16_384  # rows at a time: memory stays bounded


@dataclass(frozen=True, slots=True, eq=False)
class LogisticDetector:
    """One hyperplane a class, and a few background records to measure novelty from."""

    space: Space
    weight: FloatArray  # (c + f + 1, n_way), intercept last
    novelty: Novelty

    def score(self, x: Encoded) -> Scores:
        """Return log-odds of each class against background and the other classes."""
        n = x.n_records
        threat, novelty = np.zeros((n, self.weight.shape[1]), np.float32), np.zeros(n, np.float32)
        z = self.space.z(x)
        for start in range(0, n, _ROWS):
            block = slice(start, start + _ROWS)
            dense = self.space.dense(z[block])
            threat[block] = dense @ self.weight[:-1] + self.weight[-1]
            novelty[block] = self.novelty.score(z[block])
        return Scores(threat, novelty)


class Logistic(Learner):
    """Draws one hyperplane a class; needs no meta-training.

    Adapting costs about 10 ms on 205 records.

    Args:
        penalty: ridge penalty per record of a balanced support set; larger is smoother.
        n_points: background records that novelty is measured from.
    """

    def __init__(self, *, penalty: float = 0.01, n_points: int = 64) -> None:
        self.penalty = penalty
        self.n_points = n_points

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> Self:
        """Return self: nothing is learned across tasks."""
        return self

    def adapt(self, support: Support, *, seed: int = 0) -> LogisticDetector:
        """Fit each class against background and the other classes; ``seed`` changes nothing."""
        space = Space.of(support)
        x = space.dense(np.concatenate([space.background, space.examples]))
        columns = [
            fit_logistic(
                x,
                balanced_weights(len(space.background), support.examples.y == c),
                penalty=self.penalty,
            )
            for c in range(support.n_way)
        ]
        weight = np.array(columns, np.float32).reshape(support.n_way, x.shape[1] + 1).T
        return LogisticDetector(space, weight, Novelty.of(space, self.n_points))

    def state(self) -> State:
        """Return no arrays."""
        return {}

    def load_state(self, state: State) -> Self:
        """Return self: there is nothing to take."""
        return self


def fit_logistic(
    x: FloatArray, weight: Float64, *, penalty: float, steps: int = 50, tolerance: float = 1e-8
) -> Float64:
    """Return the coefficients, intercept last, (d + 1,), that minimise the penalised loss.

    The loss is the weighted sum of log losses plus half the penalty times the squared
    coefficients. Newton steps, O(steps (n d^2 + d^3)).

    Args:
        x: (n, d) finite.
        weight: (n, 2) weight of each record as a negative and as a positive.
        penalty: ridge penalty, more than 0; the intercept is free.
        steps: most Newton steps.
        tolerance: stop when the largest coefficient moves less.
    """
    rows = np.hstack([x.astype(np.float64), np.ones((len(x), 1))])
    ridge = np.full(rows.shape[1], penalty)
    ridge[-1] = 1e-9  # keeps the system solvable, no more
    w = np.zeros(rows.shape[1])
    total, positive = weight.sum(axis=1), weight[:, 1]

    def loss(w: Float64) -> float:
        t = rows @ w
        return float(total @ np.logaddexp(0, t) - positive @ t + 0.5 * ridge @ w**2)

    now = loss(w)
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(rows @ w, -500, 500)))
        slope = rows.T @ (total * p - positive) + ridge * w
        curve = (rows * (total * p * (1 - p))[:, None]).T @ rows + np.diag(ridge)
        move = np.linalg.solve(curve, slope)
        while (after := loss(w - move)) > now + 1e-12 and np.abs(move).max() > tolerance:
            move /= 2
        w, now = w - move, after
        if np.abs(move).max() < tolerance:
            break
    return w
