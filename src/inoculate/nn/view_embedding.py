"""Several views of one record: an encoder each, distances mixed under weights of the views.

Embedded records are (n, V, e + 1): V views, e numbers each, then 1 where the record knows
anything of the view and 0 where it knows nothing; such a view counts in no distance.

References:
    Yin and Schütze, "Learning Word Meta-Embeddings", ACL 2016, the method CONC: embeddings of
    several sources side by side, each under a weight of its source. Departures: the encoders are
    learned here, not given; the weights are not tuned by hand but come from the support set.
    Kiela, Wang and Cho, "Dynamic Meta-Embeddings for Improved Sentence Representations", EMNLP
    2018, section 3: all sources in one space of the same width, weights from a softmax over
    sources. Departures: scores come from how well a view separates the support set, not from
    the record's own embedding; views lie side by side under their weights, they are not summed.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from inoculate.nn.encoders import Layout, Parameters, Plan, mlp

N_STATISTICS = 9
"""What ``view_statistics`` says of each view."""

_FAR = 1e4  # distance of a record to itself where it must not count; finite, so gradients are
_NOWHERE = -1e30
_SMALL = 1e-12


def encoders(views: Sequence[int], hidden: int, embedding: int) -> Layout:
    """Return the plan of one encoder a view.

    The first layer of all of them is one array, ``w0``: each row of it belongs to the view that
    its input belongs to, and to no other.

    Args:
        views: number of columns of each view.
        hidden: width of the hidden layer.
        embedding: width of the learned space.
    """
    n = len(views)
    return {
        "w0": Plan((2 * sum(views), hidden)),
        "b0": Plan((n, hidden), 0.0),
        "w1": Plan((n, hidden, embedding)),
        "b1": Plan((n, embedding), 0.0),
    }


def embed(parameters: Parameters, views: Sequence[int], x: Tensor) -> Tensor:
    """Return embedded records, (..., V, e + 1), of inputs (..., 2d); see ``space.inputs``."""
    d, w = sum(views), parameters["w0"]
    hidden, known = [], []
    for start, end in pairwise([0, *accumulate(views)]):
        flags = x[..., d + start : d + end]
        summed = x[..., start:end] @ w[start:end] + flags @ w[d + start : d + end]
        hidden.append(summed)
        known.append((flags.sum(-1) > 0).to(x.dtype))
    layer = torch.nn.functional.gelu(torch.stack(hidden, -2) + parameters["b0"])
    out = torch.einsum("...vh,vhe->...ve", layer, parameters["w1"]) + parameters["b1"]
    return torch.cat([out, torch.stack(known, -1)[..., None]], -1)


def split(embedded: Tensor) -> tuple[Tensor, Tensor]:
    """Return the numbers (..., V, e) and whether each view is known (..., V)."""
    return embedded[..., :-1], embedded[..., -1]


def means(embedded: Tensor, weight: Tensor) -> Tensor:
    """Return the mean record of some, (V, e + 1), each view over those that know it.

    Args:
        embedded: (n, V, e + 1).
        weight: (n,) 1 for the records that count, else 0.
    """
    x, known = split(embedded)
    count = weight[:, None] * known
    total = (count[..., None] * x).sum(0) / count.sum(0)[:, None].clamp_min(_SMALL)
    return torch.cat([total, (count.sum(0) > 0).to(x.dtype)[:, None]], -1)


def view_distances(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return squared distances view by view, (V, n, m), and where both know the view, (V, n, m).

    Args:
        a: (n, V, e + 1).
        b: (m, V, e + 1).
    """
    (x, known_x), (y, known_y) = split(a), split(b)
    x, y = x.transpose(0, 1), y.transpose(0, 1)
    squares = x.square().sum(-1)[:, :, None] + y.square().sum(-1)[:, None]
    both = known_x.T[:, :, None] * known_y.T[:, None]
    return (squares - 2 * x @ y.mT).clamp_min(0) * both, both


def mixed(distances: tuple[Tensor, Tensor], weights: Tensor) -> Tensor:
    """Return distances (n, m) under weights (V,), over the views that both records know.

    Two records that know no view in common are at distance 0 of each other: nothing is said.
    """
    squares, both = distances
    shares = weights[:, None, None] * both
    total: Tensor = (weights[:, None, None] * squares).sum(0) / shares.sum(0).clamp_min(_SMALL)
    return total


def log_odds(near: Tensor, far: Tensor, rest: Tensor) -> Tensor:
    """Return log p(class) - log p(rest), (..., n); the rest is the mean over its records.

    Args:
        near: (..., n) squared distances to the class.
        far: (..., n, s) squared distances to each record of the support.
        rest: (s,) 1 for records of the rest, 0 for others.
    """
    return soft_nearest(far, rest) - near


def soft_nearest(far: Tensor, rest: Tensor) -> Tensor:
    """Return minus the logarithm of the mean of ``exp(-distance)`` over the rest, (..., n)."""
    # not infinite: where nothing is left, its slope would be no number
    inside = torch.logsumexp(torch.where(rest > 0, -far, _NOWHERE), -1)
    inside = torch.where(rest.sum(-1) > 0, inside, torch.zeros_like(inside))
    return rest.sum(-1).clamp_min(1).log() - inside


def without_self(distances: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return distances (V, n, n) of a set to itself with each record far from itself."""
    squares, both = distances
    eye = torch.eye(squares.shape[-1], dtype=squares.dtype)
    return squares + _FAR * eye * both, both


def view_statistics(
    embedded: Tensor, target: Tensor, weight: Tensor, itself: tuple[Tensor, Tensor]
) -> Tensor:
    """Return how well each view separates a class from the rest, (V, N_STATISTICS).

    Distance of the two means, spread of both sides, distance of the nearest of the rest, margins
    of examples and of the rest where each is left out of its own side, 1 / K, known shares.

    Args:
        embedded: (s, V, e + 1) support.
        target: (s,) 1 for examples of the class, 0 for the rest.
        weight: (s,) 0 for padding.
        itself: ``without_self`` of the support's distances to itself.
    """
    mine, rest = target * weight, (1 - target) * weight
    centre, centre_rest = means(embedded, mine), means(embedded, rest)
    n = mine.sum().clamp_min(1)
    x, known = split(embedded)
    own, others = (known * side[:, None] for side in (mine, rest))
    k = own.sum(0)
    near = (x - split(centre)[0]).square().sum(-1)  # (s, V)
    near_rest = (x - split(centre_rest)[0]).square().sum(-1)
    nearest = soft_nearest(itself[0], others.T[:, None]).T  # (s, V)
    # an example left out moves the mean of the others away from it
    left_out = near * (k / (k - 1).clamp_min(1)).square()

    def over(values: Tensor, side: Tensor) -> Tensor:
        return (values * side).sum(0) / side.sum(0).clamp_min(1)

    gap = (split(centre)[0] - split(centre_rest)[0]).square().sum(-1)
    found = [
        gap.log1p(),
        over(near, own).log1p(),
        over(near_rest, others).log1p(),
        soft_nearest(near.T, others.T).clamp_min(0).log1p(),
        over(nearest - left_out, own).asinh(),
        over(near - nearest, others).asinh(),
        (1 / n).expand(len(k)),
        k / n,
        others.sum(0) / rest.sum().clamp_min(1),
    ]
    return torch.stack(found, -1)


def attend(network: Parameters, statistics: Tensor, known: Tensor) -> Tensor:
    """Return the views' weights (V,), which sum to 1; a view that a side knows not at all has 0.

    Args:
        network: perceptron from ``N_STATISTICS`` to 1, shared by the views.
        statistics: (V, N_STATISTICS).
        known: (V,) 1 where both sides of the support know something of the view.
    """
    scores = mlp(network, statistics)[:, 0]
    lowest = torch.finfo(scores.dtype).min
    return torch.softmax(torch.where(known > 0, scores, lowest), 0) * known
