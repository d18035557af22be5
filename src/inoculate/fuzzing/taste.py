"""What seeds a bug descends from are like: weights learned by holding them against others."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CONTROLS = 20
_WINDOW = 100
_FEWEST = 10
_STEPS = 30
_LEAST = 1e-6
_MOST = 30.0


def contests(seen: Floats, led: list[int], end: int, rng: np.random.Generator) -> list[Floats]:
    """Return each seed that led to a bug over seeds mutated about the same time.

    Args:
        seen: (rounds, f) what was seen of the seed of each round.
        led: rounds that led to the bug.
        end: the round that found it.
        rng: draws the others.

    Returns:
        (1 + ``CONTROLS``, f) for each round of ``led``, its own seed first.
    """
    found = []
    for at in led:
        low, high = max(0, at - _WINDOW), min(end + 1, at + _WINDOW)
        if high - low >= _FEWEST:
            others = seen[rng.integers(low, high, CONTROLS)]
            found.append(np.vstack([seen[at : at + 1], others]))
    return found


def fit_taste(held: Floats, weights: Floats, *, ridge: float = 1.0) -> Floats:
    """Return weights w by which the first of each row is told from the others.

    Conditional logit (McFadden 1974): the chance of the first is ``exp(w x)`` among the row's.
    Newton's method, its steps halved until they help, with a ridge penalty on standardised
    features; the weights' mean is made 1.

    Args:
        held: (n, 1 + c, f).
        weights: (n,) of the rows, positive.
        ridge: of the penalty.

    Returns:
        (f,) weights in the features' own units.
    """
    flat = held.reshape(-1, held.shape[2])
    mean, spread = flat.mean(axis=0), flat.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    z = np.clip((held - mean) / spread, -_MOST, _MOST)
    share = weights / weights.mean()
    w = np.zeros(z.shape[2])
    loss, slope, curve = _loss(w, z, share, ridge)
    for _ in range(_STEPS):
        step, size = np.linalg.solve(curve, slope), 1.0
        tried = _loss(w + step, z, share, ridge)
        while tried[0] > loss and size > _LEAST:  # far from the best it may lead too far
            size /= 2
            tried = _loss(w + size * step, z, share, ridge)
        if tried[0] >= loss:
            break
        w, (loss, slope, curve) = w + size * step, tried
    return np.asarray(w / spread)


def _loss(w: Floats, z: Floats, share: Floats, ridge: float) -> tuple[float, Floats, Floats]:
    """Return the penalised negative log-likelihood, minus its gradient, and its Hessian."""
    worth = z @ w
    worth -= worth.max(axis=1, keepdims=True)
    chance = np.exp(worth)
    total = chance.sum(axis=1, keepdims=True)
    chance /= total
    loss = float(share @ (np.log(total[:, 0]) - worth[:, 0]) + ridge / 2 * w @ w)
    expected = np.einsum("nc,ncf->nf", chance, z)
    slope = share @ (z[:, 0] - expected) - ridge * w
    apart = (z * (share[:, None] * chance)[..., None]).reshape(-1, len(w))
    curve = apart.T @ z.reshape(-1, len(w)) - (expected * share[:, None]).T @ expected
    return loss, slope, curve + ridge * np.eye(len(w))
