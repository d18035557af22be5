"""MAML: a starting point from which a few gradient steps on the support set go far.

References:
    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
    Networks", ICML 2017, algorithm 2 and section 5.2. Departures: columns are expressed against
    the background first; one binary head a class against background and the other classes, both
    sides weighing half; AdamW in the outer loop.

    Li, Zhou, Chen and Li, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", arXiv
    1707.09835, 2017, algorithm 1 (``meta_sgd``). Departures: several inner steps share the
    learned rates, which start at ``inner_rate``.

    Antoniou, Edwards and Storkey, "How to Train Your MAML", ICLR 2019, section 4, "Multi-Step
    Loss Optimization" (``multi_step_loss``): the outer loss is the weighted sum of the losses
    after each inner step; all weigh the same at first, in the end only the last one does.
    Departure: the earlier weights fall in a line by batches, not by epochs.
"""

from torch import Tensor

from inoculate.features.block_detector import BlockDetector
from inoculate.nn.batched_mlp import BatchedMlp, applies
from inoculate.nn.encoders import Layout, Parameters, Plan, layers, mlp, part
from inoculate.nn.inner_loop import adapt_parameters, balanced_log_loss, balanced_weights
from inoculate.nn.meta_learner import MetaLearner, Side
from inoculate.nn.outer_loop import TaskBatch, over_problems
from inoculate.nn.unrolled_mlp import Half, Inner
from inoculate.task import Support

_RATE = "rate."


class Maml(MetaLearner):
    """Meta-trained: needs ``meta_fit`` or a prior, and the columns it was meta-trained on.

    Adapting costs about 10 ms a class, scoring about 3 us a record. Meta-training is written out
    by hand (``nn.batched_mlp``), save with ``meta_sgd`` and with supports of many more records
    than columns: those are differentiated by ``torch.func``, some times slower.

    Args:
        hidden: width of the two hidden layers.
        steps: gradient steps of the inner loop.
        inner_rate: size of each.
        first_order: leave out second derivatives in meta-training; cheaper, and worse.
        meta_sgd: learn a rate for each parameter.
        multi_step_loss: batches until only the loss after the last step counts; 0: from the first.
        batch_size: binary problems a step of the outer loop.
        rate: step size of the outer loop.
    """

    def __init__(
        self,
        *,
        hidden: int = 64,
        steps: int = 5,
        inner_rate: float = 0.5,
        first_order: bool = False,
        meta_sgd: bool = False,
        multi_step_loss: int = 0,
        batch_size: int = 16,
        rate: float = 2e-3,
    ) -> None:
        super().__init__(batch_size=batch_size, rate=rate)
        self.hidden = hidden
        self.steps = steps
        self.inner_rate = inner_rate
        self.first_order = first_order
        self.meta_sgd = meta_sgd
        self.multi_step_loss = multi_step_loss
        self._batched = BatchedMlp()

    def layout(self, width: int) -> Layout:
        """Return a perceptron with two hidden layers, and a rate for each of its parameters."""
        network = layers((width, self.hidden, self.hidden, 1))
        if not self.meta_sgd:
            return network
        return network | {f"{_RATE}{k}": Plan(p.shape, self.inner_rate) for k, p in network.items()}

    def meta_loss(
        self, parameters: Parameters, batch: TaskBatch, *, step: int | None = None
    ) -> Tensor:
        """Return the mean loss on the queries after the inner loop, or after each of its steps."""
        early = step is not None and step < self.multi_step_loss
        shares = step_weights(self.steps, (step or 0) / self.multi_step_loss) if early else None
        if applies(parameters, batch.support.shape[1]):
            whole = (0.0, *shares) if shares else None
            inner = Inner(self.steps, self.inner_rate, self.first_order, whole)
            return self._batched.loss(parameters, *halves(batch), inner)
        if shares is None:
            return super().meta_loss(parameters, batch, step=step)
        return self._recorded_loss(parameters, batch, shares)

    def _recorded_loss(
        self, parameters: Parameters, batch: TaskBatch, shares: list[float]
    ) -> Tensor:
        def one(
            x: Tensor, y: Tensor, w: Tensor, query: Tensor, query_y: Tensor, query_w: Tensor
        ) -> Tensor:
            total, moved = query.new_zeros(()), parameters
            for share in shares:
                moved = parameters | self._steps(1, moved, x, y, w)
                total = total + share * balanced_log_loss(mlp(moved, query)[:, 0], query_y, query_w)
            return total

        return over_problems(one, batch).mean()

    def fit_side(self, parameters: Parameters, x: Tensor, y: Tensor, w: Tensor) -> Side:
        """Return the network after the inner loop's steps."""
        return self._steps(self.steps, parameters, x, y, w)

    def _steps(self, n: int, parameters: Parameters, x: Tensor, y: Tensor, w: Tensor) -> Side:
        return adapt_parameters(
            lambda p: balanced_log_loss(mlp(p, x)[:, 0], y, w),
            {k: v for k, v in parameters.items() if not k.startswith(_RATE)},
            steps=n,
            rate=part(parameters, _RATE) or self.inner_rate,
            first_order=self.first_order,
        )

    def log_odds(self, parameters: Parameters, side: Side, query: Tensor) -> Tensor:
        """Return the adapted network's output."""
        return mlp(side, query)[:, 0]

    def adapt(self, support: Support, *, seed: int = 0) -> BlockDetector:
        """Take the inner loop's steps for each class; ``seed`` changes nothing."""
        self.check_fits(support)
        return BlockDetector.of(support, self.side, self.threat, n_points=self.n_points)


def halves(batch: TaskBatch) -> tuple[Half, Half]:
    """Return support and query, both classes weighing half in each."""
    support = balanced_weights(batch.target, batch.weight)
    query = balanced_weights(batch.query_target, batch.query_weight)
    return (
        Half(batch.support, batch.target[..., None], support[..., None]),
        Half(batch.query, batch.query_target[..., None], query[..., None]),
    )


def step_weights(steps: int, progress: float) -> list[float]:
    """Return the weight of the loss after each inner step; they sum to 1.

    Args:
        steps: of the inner loop, at least 1.
        progress: 0, where all weigh the same, to 1, where only the last one counts.
    """
    early = (1 - progress) / steps
    return [early] * (steps - 1) + [1 - early * (steps - 1)]
