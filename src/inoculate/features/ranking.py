"""Which of two is the worse: a linear score learned from pairs, and moved by a few more.

A pair is a record before and after a fix. What fixes have in common, over many weaknesses, is a
direction in the space of columns: a check is added, a call replaced, an unbounded copy gone. A
new weakness has a direction of its own near to it. So the common one is what is meta-learned,
and five pairs move it: the proximal inner problem has one minimum, found exactly.

References:
    Burges et al., "Learning to Rank using Gradient Descent", ICML 2005, section 3, equation 3,
    for the loss of a pair. Departures: linear, and the worse is known for certain.

    Rajeswaran et al., "Meta-Learning with Implicit Gradients", NeurIPS 2019, section 2.1,
    equation 3, for the proximal inner problem. Departures: it is solved, not descended; the
    outer problem is solved with an inner one that does not move, which five held-out pairs
    of each meta-training weakness then say how far it may.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

FURTHEST = 2.0
"""A difference counts up to so many scales: a rewritten function says no more than a line."""
PENALTIES = (0.3, 1.0, 3.0, 10.0)
STRENGTHS = (30.0, 100.0, 300.0, 1000.0)
_STEPS, _TOLERANCE = 40, 1e-7
_SHOTS, _DRAWS, _FOLDS = 5, 3, 4


def bounded(differences: Float64) -> Float64:
    """Return differences in scales, (n, d), none further than ``FURTHEST``."""
    return np.clip(differences, -FURTHEST, FURTHEST)


def common_direction(differences: Float64, penalty: float) -> Float64:
    """Return the direction of all pairs together, (d,).

    Minimises the mean of log(1 + exp(-difference . w)) plus half the penalty times w squared,
    by Newton steps; the result is scaled to a root mean square margin of 1.

    Args:
        differences: (n, d) worse less better, in scales; at least one.
        penalty: more than 0.
    """
    rows = bounded(differences)
    w = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        p = _doubt(rows @ w)
        slope = penalty * w - rows.T @ p / len(rows)
        curve = (rows * (p * (1 - p))[:, None]).T @ rows / len(rows)
        curve[np.diag_indices_from(curve)] += penalty
        move = np.linalg.solve(curve, slope)
        w = w - move
        if np.abs(move).max() < _TOLERANCE:
            break
    margin = np.sqrt(((rows @ w) ** 2).mean())
    return w / margin if margin > 0 else w


def moved_direction(direction: Float64, differences: Float64, strength: float) -> Float64:
    """Return the direction that a few pairs move another one to, (d,).

    Minimises the sum of log(1 + exp(-difference . w)) plus half the strength times the squared
    distance to ``direction``. Solved by Newton steps in the k coefficients of the pairs, which
    costs O(k^2 d), not O(d^3).

    Args:
        direction: (d,) where nothing is known of this weakness.
        differences: (k, d) worse less better, in scales; maybe none.
        strength: more than 0; how hard it is to move.
    """
    rows = bounded(differences)
    a = proximal_coefficients(rows @ direction, rows @ rows.T / strength)
    return np.asarray(direction + rows.T @ a / strength)


def proximal_coefficients(first: Float64, gram: Float64) -> Float64:
    """Return how much each of a few records pulls, (k,): the minimum in their coefficients.

    Minimises the sum of log(1 + exp(-(first + gram a))) plus half of a . gram a.

    Args:
        first: (k,) margins before.
        gram: (k, k) how far a pull at one moves the margin of the other.
    """
    a = np.zeros(len(first))
    for _ in range(_STEPS):
        p = _doubt(first + gram @ a)
        move = np.linalg.solve(np.eye(len(a)) + (p * (1 - p))[:, None] * gram, a - p)
        a = a - move
        if not len(a) or np.abs(move).max() < _TOLERANCE:
            break
    return a


def _doubt(margin: Float64) -> Float64:
    return np.asarray(1 / (1 + np.exp(np.clip(margin, -500, 500))))


def ranked_right(margins: Float64) -> float:
    """Return the share of pairs whose worse side is above the other; a tie is half."""
    return float(((margins > 0) + 0.5 * (margins == 0)).mean())


def choose(groups: Sequence[Float64], *, seed: int) -> tuple[float, float]:
    """Return penalty and strength that rank held-out groups best, after five of their pairs.

    Groups are held out in folds, as weaknesses never seen; each group counts once.

    Args:
        groups: (n, d) differences of each meta-training weakness.
        seed: of folds and draws.
    """
    rng = np.random.default_rng(seed)
    folds = [f for f in np.array_split(rng.permutation(len(groups)), _FOLDS) if len(f)]
    found = np.zeros((len(PENALTIES), len(STRENGTHS)))
    for out in folds:
        rest = [g for i, g in enumerate(groups) if i not in set(out.tolist())]
        judged = [groups[i] for i in out if len(groups[i]) > _SHOTS]
        if not rest or not judged:
            continue
        draws = [rng.permutation(len(g)) for g in judged for _ in range(_DRAWS)]
        for i, penalty in enumerate(PENALTIES):
            w = common_direction(np.concatenate(rest), penalty)
            for j, strength in enumerate(STRENGTHS):
                for k, order in enumerate(draws):
                    rows = judged[k // _DRAWS][order]
                    moved = moved_direction(w, rows[:_SHOTS], strength)
                    found[i, j] += ranked_right(rows[_SHOTS:] @ moved) / _DRAWS
    i, j = divmod(int(found.argmax()), len(STRENGTHS))
    return PENALTIES[i], STRENGTHS[j]
