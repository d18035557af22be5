"""Prototypical network: distances to the mean of each class in a learned space.

References:
    Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017,
    equations 1 and 2. Departures: columns are expressed against the background first;
    background is no single cluster, so each of its records is a prototype and their terms of
    the softmax are averaged; each class is told from background and the other classes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from inoculate.features.space import Novelty, Space, inputs, problems, support_inputs
from inoculate.learner import Learner, Scores, State
from inoculate.nn.encoders import Parameters, init_mlp, mlp
from inoculate.nn.inner_loop import balanced_log_loss
from inoculate.nn.outer_loop import (
    TaskBatch,
    check_columns,
    meta_train,
    one_thread,
    restore,
)
from inoculate.task import Encoded, Support, Task

_ROWS = 4_096  # rows at a time: distances to all of the background fit the cache
_LAYERS = 2


def log_odds(query: Tensor, support: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return log p(class) - log p(rest) of each query, (..., q).

    The class is at squared distance to the mean of its examples; the rest is the mean of
    ``exp(-squared distance)`` over its records.

    Args:
        query: (..., q, e) embedded.
        support: (..., s, e) embedded.
        target: (..., s) 1 for examples of the class, 0 for the rest.
        weight: (..., s) 0 for padding.
    """
    mine, rest = target * weight, (1 - target) * weight
    prototype = (mine[..., None] * support).sum(-2) / mine.sum(-1)[..., None].clamp_min(1e-12)
    near = (query - prototype[..., None, :]).square().sum(-1)
    far = _squared_distances(query, support)
    far = far.masked_fill(rest[..., None, :] == 0, torch.inf)
    count = rest.sum(-1)[..., None].clamp_min(1e-12).log()
    return count - torch.logsumexp(-far, -1) - near


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    squares = a.square().sum(-1)[..., None] + b.square().sum(-1)[..., None, :]
    return (squares - 2 * a @ b.transpose(-1, -2)).clamp_min(0)


@dataclass(frozen=True, slots=True, eq=False)
class ProtoNetDetector:
    """Embedded support sets, one a class, and a few records to measure novelty from."""

    space: Space
    parameters: Parameters
    support: tuple[tuple[Tensor, Tensor], ...]  # embedded records (s, e) and targets (s,)
    novelty: Novelty

    @torch.inference_mode()
    def score(self, x: Encoded) -> Scores:
        """Return log-odds of each class against background and the other classes."""
        z = self.space.z(x)
        threat = torch.zeros((len(z), len(self.support)))
        for start in range(0, len(z) if self.support else 0, _ROWS):
            block = slice(start, start + _ROWS)
            query = mlp(self.parameters, torch.from_numpy(inputs(z[block])))
            for i, (embedded, target) in enumerate(self.support):
                threat[block, i] = log_odds(query, embedded, target, torch.ones_like(target))
        return Scores(threat.numpy(), self.novelty.score(z))


class ProtoNet(Learner):
    """Meta-trained: needs ``meta_fit`` or a prior, and the columns it was meta-trained on.

    Adapting costs about 10 ms, scoring about 10 us a record with 205 records of support.

    Args:
        hidden: width of the hidden layer.
        embedding: width of the learned space.
        batch_size: binary problems a step of the outer loop.
        rate: step size of the outer loop.
        n_points: background records that novelty is measured from.
    """

    meta_trained: ClassVar[bool] = True

    def __init__(
        self,
        *,
        hidden: int = 128,
        embedding: int = 32,
        batch_size: int = 16,
        rate: float = 2e-3,
        n_points: int = 64,
    ) -> None:
        self.hidden = hidden
        self.embedding = embedding
        self.batch_size = batch_size
        self.rate = rate
        self.n_points = n_points
        self.parameters_: Parameters = {}

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> Self:
        """Learn the space in one pass over the tasks; without any, nothing changes."""

        def initial(width: int) -> Parameters:
            return init_mlp((width, self.hidden, self.embedding), seed=seed)

        learned = meta_train(
            problems(tasks), initial, _loss, batch_size=self.batch_size, rate=self.rate
        )
        self.parameters_ = learned or self.parameters_
        return self

    @torch.inference_mode()
    def adapt(self, support: Support, *, seed: int = 0) -> ProtoNetDetector:
        """Embed the support set; ``seed`` changes nothing."""
        check_columns(self.parameters_, support, "protonet")
        space = Space.of(support)
        found = []
        with one_thread():
            for c in range(support.n_way):
                x, target = support_inputs(space, support, c)
                embedded = mlp(self.parameters_, torch.from_numpy(x))
                found.append((embedded, torch.from_numpy(target)))
        novelty = Novelty.of(space, self.n_points)
        return ProtoNetDetector(space, self.parameters_, tuple(found), novelty)

    def state(self) -> State:
        """Return weights and biases by layer."""
        return {k: v.numpy() for k, v in self.parameters_.items()}

    def load_state(self, state: State) -> Self:
        """Take weights and biases."""
        self.parameters_ = restore(state, _LAYERS)
        return self


def _loss(parameters: Parameters, batch: TaskBatch) -> Tensor:
    support, query = mlp(parameters, batch.support), mlp(parameters, batch.query)
    logits = log_odds(query, support, batch.target, batch.weight)
    each = torch.func.vmap(balanced_log_loss)(logits, batch.query_target, batch.query_weight)
    return each.mean()
