"""Which records are bad: a linear boundary learned over many classes, and moved by a few records.

Several classes of bad records, each with good ones beside it, have something in common: data from
outside reaches a call, say. That is the common boundary. A new class has its own beside it, and
what its few records say counts most where the other classes said nothing: a column that they
fixed is stiff, one that they never varied in is free. How far the common boundary itself is to
be believed in the new class is left free too.

References:
    Rajeswaran et al., "Meta-Learning with Implicit Gradients", NeurIPS 2019, section 2.1,
    equation 3, for the proximal inner problem, solved and not descended. Departure: distances are
    measured by the curvature of the outer problem, as in MacKay, "A Practical Bayesian Framework
    for Backpropagation Networks", Neural Computation 4, 1992, section 2.2, where the posterior of
    what was seen before is the prior of what comes; here at its largest, a quarter of the
    covariance within classes, and each record counts more than one of the outer problem.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inoculate.features.ranking import proximal_coefficients

Float64 = npt.NDArray[np.float64]

FLOOR = 0.5
"""Added to the scales of columns, so that what is hardly ever there does not count most."""

PENALTY, STRENGTH = 0.1, 10.0
_ALONG = 0.1  # how hard it is to believe the common boundary more or less
_OFFSET = 0.1  # how hard it is to move the boundary without turning it
_STEPS, _TOLERANCE = 40, 1e-4


def learn_boundary(sides: Sequence[tuple[Float64, Float64]]) -> dict[str, Float64]:
    """Return ``scale`` of columns, ``direction`` and ``offset``, and ``fixes``: the curvature.

    Args:
        sides: (n, d) bad and (m, d) good records of each class; at least one, none of them empty.
    """
    scale = np.concatenate([side for pair in sides for side in pair]).std(axis=0) + FLOOR
    scaled = [(bad / scale, good / scale) for bad, good in sides]
    direction, offset = common_boundary(scaled, PENALTY)
    told = {"scale": scale, "direction": direction, "offset": np.array(offset)}
    return told | {"fixes": within(scaled) / 4}


def within(sides: Sequence[tuple[Float64, Float64]]) -> Float64:
    """Return the covariance of records within their classes, (d, d), each class alike.

    Args:
        sides: (n, d) bad and (m, d) good records of each class; none of them empty.
    """
    parts = []
    for bad, good in sides:
        centre = (bad.mean(axis=0) + good.mean(axis=0)) / 2
        parts.append(sum((s - centre).T @ (s - centre) / (2 * len(s)) for s in (bad, good)))
    return np.asarray(sum(parts) / len(parts))


def common_boundary(
    sides: Sequence[tuple[Float64, Float64]], penalty: float
) -> tuple[Float64, float]:
    """Return the weights (d,) and the offset that tell bad records from good, whatever the class.

    Minimises the log loss of a logistic model in which every class and both sides of it count
    alike, plus half the penalty times the weights squared. One offset serves all classes, so that
    good records of all of them lie on one side: a threshold holds for a class never seen. Newton
    steps, O(n d^2 + d^3) each.

    Args:
        sides: (n, d) bad and (m, d) good records of each class; at least one, none of them empty.
        penalty: more than 0.
    """
    parts = [side for pair in sides for side in pair]
    bad = np.repeat(np.arange(len(parts)) % 2 == 0, [len(p) for p in parts]).astype(float)
    weight = np.repeat([1 / (len(p) * len(parts)) for p in parts], [len(p) for p in parts])
    table = np.concatenate(parts)
    centre = weight @ table
    rows = np.hstack([table - centre, np.ones((len(table), 1))])
    width = rows.shape[1] - 1
    ridge = np.append(np.full(width, penalty), 1e-9)

    def loss(w: Float64) -> float:
        t = rows @ w
        return float(weight @ (np.logaddexp(0, t) - bad * t) + 0.5 * ridge @ w**2)

    w = np.zeros(len(ridge))
    now = loss(w)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(rows @ w, -500, 500)))
        curve = (rows * (weight * p * (1 - p))[:, None]).T @ rows + np.diag(ridge)
        move = np.linalg.solve(curve, rows.T @ (weight * (p - bad)) + ridge * w)
        while (after := loss(w - move)) > now + 1e-12 and np.abs(move).max() > _TOLERANCE:
            move /= 2
        w, now = w - move, after
        if np.abs(move).max() < _TOLERANCE:
            break
    return w[:width], float(w[width] - centre @ w[:width])


def moved_boundary(
    boundary: tuple[Float64, float], bad: Float64, good: Float64, curve: Float64, strength: float
) -> tuple[Float64, float]:
    """Return the weights (d,) and the offset of the boundary that a few records move another to.

    Minimises the sum of their log losses under (1 + a) (weights . x + offset) + v . x + b, plus
    half of strength times v . (curve + PENALTY) v and of small multiples of a and b squared.
    Newton steps in the coefficients of the records, O(d^3) once for the curve.

    Args:
        boundary: weights (d,) and offset of the common boundary.
        bad: (k, d) records; maybe none.
        good: (l, d) others; maybe none.
        curve: (d, d) of the outer problem: a quarter of ``within``.
        strength: more than 0; how hard it is to move.
    """
    weights, offset = boundary
    signs = np.repeat([1.0, -1.0], [len(bad), len(good)])
    signed = np.concatenate([bad, -good])
    stiff = strength * (curve + PENALTY * np.eye(len(curve)))
    moves = np.linalg.solve(stiff, signed.T)
    margins = signed @ weights + signs * offset
    along = np.outer(margins, margins) / _ALONG
    a = proximal_coefficients(margins, signed @ moves + along + np.outer(signs, signs) / _OFFSET)
    believed = 1 + margins @ a / _ALONG
    return believed * weights + moves @ a, float(believed * offset + signs @ a / _OFFSET)
