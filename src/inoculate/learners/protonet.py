"""Prototypical network: distances to the mean of each class in a learned space.

References:
    Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017,
    equations 1 and 2. Departures: columns are expressed against the background first;
    background is no single cluster, so each of its records is a prototype and their terms of
    the softmax are averaged; each class is told from background and the other classes.

    Bateni, Goyal, Masrani, Wood and Sigal, "Improved Few-Shot Visual Classification" (Simple
    CNAPS), CVPR 2020, equations 1 to 4, for ``mahalanobis``: half the squared Mahalanobis
    distance, under a class covariance that is pulled towards the task's and the identity.
    Departures: a perceptron that does not depend on the task embeds the records; the rest is
    one class with one covariance, under which each of its records is a prototype.
"""

import torch
from torch import Tensor

from inoculate.features.block_detector import BlockDetector
from inoculate.nn.encoders import Layout, Parameters, layers, mlp
from inoculate.nn.meta_learner import MetaLearner, Side
from inoculate.task import Support

_JITTER = 1e-10


def log_odds(
    query: Tensor,
    support: Tensor,
    target: Tensor,
    weight: Tensor,
    metrics: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Return log p(class) - log p(rest) of each query, (..., q).

    The class is at squared distance to the mean of its examples; the rest is the mean of
    ``exp(-squared distance)`` over its records.

    Args:
        query: (..., q, e) embedded.
        support: (..., s, e) embedded.
        target: (..., s) 1 for examples of the class, 0 for the rest.
        weight: (..., s) 0 for padding.
        metrics: (..., e, e) maps of the class and of the rest, which come before distances.
    """
    mine, rest = target * weight, (1 - target) * weight
    prototype = (mine[..., None] * support).sum(-2) / mine.sum(-1)[..., None].clamp_min(1e-12)
    from_prototype, others = query - prototype[..., None, :], (query, support)
    if metrics is not None:
        from_prototype = from_prototype @ metrics[0]
        others = (query @ metrics[1], support @ metrics[1])
    near = from_prototype.square().sum(-1)
    far = _squared_distances(*others)
    far = far.masked_fill(rest[..., None, :] == 0, torch.inf)
    count = rest.sum(-1)[..., None].clamp_min(1e-12).log()
    return count - torch.logsumexp(-far, -1) - near


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    squares = a.square().sum(-1)[..., None] + b.square().sum(-1)[..., None, :]
    return (squares - 2 * a @ b.transpose(-1, -2)).clamp_min(0)


def mahalanobis_metric(x: Tensor, mine: Tensor, weight: Tensor) -> Tensor:
    """Return the map after which squared distances are half the squared Mahalanobis distances.

    Args:
        x: (s, e) embedded support.
        mine: (s,) 1 for records of the class, 0 for others and padding.
        weight: (s,) 0 for padding.

    Returns:
        (e, e) upper triangular: ``metric @ metric.T`` is half the inverse of the class's
        covariance, regularised.
    """
    n, eye = mine.sum(), torch.eye(x.shape[-1], dtype=torch.float64)
    share = (n / (n + 1)).double()
    # doubles: few records leave a covariance singular but for the identity
    mixed = share * _covariance(x.double(), mine) + (1 - share) * _covariance(x.double(), weight)
    jitter = _JITTER * mixed.diagonal().mean()
    root = torch.linalg.cholesky(mixed + (1 + jitter) * eye)
    inverse: Tensor = torch.linalg.solve_triangular(root, eye, upper=False)
    return (inverse.T / 2**0.5).to(x.dtype)


def _covariance(x: Tensor, weight: Tensor) -> Tensor:
    """Return the covariance of records that have weight 1, without bias."""
    n = weight.sum()
    centred = weight[:, None] * (x - (weight[:, None] * x).sum(0) / n.clamp_min(1))
    return centred.T @ centred / (n - 1).clamp_min(1)


class ProtoNet(MetaLearner):
    """Meta-trained: needs ``meta_fit`` or a prior, and the columns it was meta-trained on.

    Adapting costs about 10 ms, scoring about 10 us a record with 205 records of support.

    Args:
        hidden: width of the hidden layer.
        embedding: width of the learned space.
        mahalanobis: distances under covariances of the class and of the rest; adapting costs
            O(s e^2 + e^3) more.
        batch_size: binary problems a step of the outer loop.
        rate: step size of the outer loop.
        n_points: background records that novelty is measured from.
    """

    def __init__(
        self,
        *,
        hidden: int = 128,
        embedding: int = 32,
        mahalanobis: bool = False,
        batch_size: int = 16,
        rate: float = 2e-3,
        n_points: int = 64,
    ) -> None:
        super().__init__(batch_size=batch_size, rate=rate, n_points=n_points)
        self.hidden = hidden
        self.embedding = embedding
        self.mahalanobis = mahalanobis

    def layout(self, width: int) -> Layout:
        """Return a perceptron with one hidden layer."""
        return layers((width, self.hidden, self.embedding))

    def embed(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return records in the learned space."""
        return mlp(parameters, x)

    def fit_side(self, parameters: Parameters, x: Tensor, y: Tensor, w: Tensor) -> Side:
        """Return the support as it is, and the metrics."""
        side = {"support": x, "target": y, "weight": w}
        if self.mahalanobis:
            side["mine"] = mahalanobis_metric(x, y * w, w)
            side["rest"] = mahalanobis_metric(x, (1 - y) * w, w)
        return side

    def log_odds(self, parameters: Parameters, side: Side, query: Tensor) -> Tensor:
        """Return ``log_odds``."""
        metrics = (side["mine"], side["rest"]) if self.mahalanobis else None
        return log_odds(query, side["support"], side["target"], side["weight"], metrics)

    def adapt(self, support: Support, *, seed: int = 0) -> BlockDetector:
        """Embed the support set; ``seed`` changes nothing."""
        self.check_fits(support)
        return BlockDetector.of(support, self.side, self.threat, n_points=self.n_points)
