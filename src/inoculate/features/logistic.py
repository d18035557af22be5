"""Ridge-penalised logistic regression.

References:
    Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd ed., 2009,
    section 4.4.1, equation 4.26 (Newton steps). Departures: a ridge penalty on all but the
    intercept, steps halved while the loss rises.
"""

import numpy as np
import numpy.typing as npt

from inoculate.task import FloatArray

Float64 = npt.NDArray[np.float64]


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
