"""Reptile: the starting point moves towards where each task's own training ends.

References:
    Nichol, Achiam and Schulman, "On First-Order Meta-Learning Algorithms", arXiv 1803.02999,
    2018, algorithm 2 (the batched update ``theta + eps * mean(phi - theta)``) and section 5.1 (why
    it needs several steps on different records). Departures: columns are expressed against the
    background first; one binary head a class against background and the other classes, both
    sides weighing half; the two batches that inner steps take in turn are the support and the
    query; a constant step, warmed up, and an average of its path instead of a decreasing step.
"""

from typing import ClassVar

import torch
from torch import Tensor

from inoculate.features.block_detector import BlockDetector
from inoculate.nn.encoders import Layout, Parameters, layers, mlp
from inoculate.nn.inner_loop import Loss, adapt_parameters, balanced_log_loss
from inoculate.nn.meta_learner import MetaLearner, Side
from inoculate.nn.outer_loop import TaskBatch, over_problems
from inoculate.task import Support

Part = tuple[Tensor, Tensor, Tensor]
"""Records (s, d), their targets (s,) and weights (s,)."""


class Reptile(MetaLearner):
    """Meta-trained: needs ``meta_fit`` or a prior, and the columns it was meta-trained on.

    No second derivatives, and no gradient through the inner loop at all.

    Args:
        hidden: width of the two hidden layers.
        steps: gradient steps of the inner loop; with one it is ordinary training.
        inner_rate: size of each.
        batch_size: binary problems a step of the outer loop.
        rate: share of the way towards the mean of the adapted parameters; 1 is all of it.
        n_points: background records that novelty is measured from.
    """

    plain: ClassVar[bool] = True

    def __init__(
        self,
        *,
        hidden: int = 64,
        steps: int = 6,
        inner_rate: float = 0.5,
        batch_size: int = 16,
        rate: float = 0.5,
        n_points: int = 64,
    ) -> None:
        super().__init__(batch_size=batch_size, rate=rate, n_points=n_points)
        self.hidden = hidden
        self.steps = steps
        self.inner_rate = inner_rate

    def layout(self, width: int) -> Layout:
        """Return a perceptron with two hidden layers."""
        return layers((width, self.hidden, self.hidden, 1))

    def meta_loss(
        self, parameters: Parameters, batch: TaskBatch, *, step: int | None = None
    ) -> Tensor:
        """Return ``mean |theta - phi|^2 / 2`` with phi held constant.

        Its gradient is ``mean(theta - phi)``, so a plain gradient step of size eps is the
        paper's update.
        """
        start = {k: p.detach() for k, p in parameters.items()}

        def end(x: Tensor, y: Tensor, w: Tensor, q: Tensor, q_y: Tensor, q_w: Tensor) -> Parameters:
            return self._inner(start, ((x, y, w), (q, q_y, q_w)))

        ends = over_problems(end, batch)
        far = [(p - ends[k].detach()).square().sum() for k, p in parameters.items()]
        return torch.stack(far).sum() / (2 * len(batch.support))

    def fit_side(self, parameters: Parameters, x: Tensor, y: Tensor, w: Tensor) -> Side:
        """Return the network after the inner loop's steps on the support alone."""
        return self._inner(parameters, ((x, y, w),))

    def log_odds(self, parameters: Parameters, side: Side, query: Tensor) -> Tensor:
        """Return the adapted network's output."""
        return mlp(side, query)[:, 0]

    def adapt(self, support: Support, *, seed: int = 0) -> BlockDetector:
        """Take the inner loop's steps for each class; ``seed`` changes nothing."""
        self.check_fits(support)
        return BlockDetector.of(support, self.side, self.threat, n_points=self.n_points)

    def _inner(self, parameters: Parameters, parts: tuple[Part, ...]) -> Parameters:
        for step in range(self.steps):
            parameters = adapt_parameters(
                _loss(*parts[step % len(parts)]), parameters, steps=1, rate=self.inner_rate
            )
        return parameters


def _loss(x: Tensor, y: Tensor, w: Tensor) -> Loss:
    return lambda p: balanced_log_loss(mlp(p, x)[:, 0], y, w)
