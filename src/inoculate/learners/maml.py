"""MAML: a starting point from which a few gradient steps on the support set go far.

References:
    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
    Networks", ICML 2017, algorithm 2 and section 5.2. Departures: columns are expressed against
    the background first; one binary head a class against background and the other classes, both
    sides weighing half; AdamW in the outer loop.
"""

from torch import Tensor

from inoculate.features.block_detector import BlockDetector
from inoculate.features.space import problems
from inoculate.nn.encoders import Layout, Parameters, layers, mlp
from inoculate.nn.inner_loop import adapt_parameters, balanced_log_loss
from inoculate.nn.meta_learner import MetaLearner, Side
from inoculate.task import Support


class Maml(MetaLearner):
    """Meta-trained: needs ``meta_fit`` or a prior, and the columns it was meta-trained on.

    Adapting costs about 10 ms a class, scoring about 3 us a record.

    Args:
        hidden: width of the two hidden layers.
        steps: gradient steps of the inner loop.
        inner_rate: size of each.
        first_order: leave out second derivatives in meta-training; cheaper, and worse.
        batch_size: binary problems a step of the outer loop.
        rate: step size of the outer loop.
        n_points: background records that novelty is measured from.
    """

    problems = staticmethod(problems)

    def __init__(
        self,
        *,
        hidden: int = 64,
        steps: int = 5,
        inner_rate: float = 0.5,
        first_order: bool = False,
        batch_size: int = 16,
        rate: float = 2e-3,
        n_points: int = 64,
    ) -> None:
        super().__init__(batch_size=batch_size, rate=rate, n_points=n_points)
        self.hidden = hidden
        self.steps = steps
        self.inner_rate = inner_rate
        self.first_order = first_order

    def layout(self, width: int) -> Layout:
        """Return a perceptron with two hidden layers."""
        return layers((width, self.hidden, self.hidden, 1))

    def fit_side(self, parameters: Parameters, x: Tensor, y: Tensor, w: Tensor) -> Side:
        """Return the network after the inner loop's steps."""
        return adapt_parameters(
            lambda p: balanced_log_loss(mlp(p, x)[:, 0], y, w),
            parameters,
            steps=self.steps,
            rate=self.inner_rate,
            first_order=self.first_order,
        )

    def log_odds(self, parameters: Parameters, side: Side, query: Tensor) -> Tensor:
        """Return the adapted network's output."""
        return mlp(side, query)[:, 0]

    def adapt(self, support: Support, *, seed: int = 0) -> BlockDetector:
        """Take the inner loop's steps for each class; ``seed`` changes nothing."""
        self.check_fits(support)
        return BlockDetector.of(support, self.side, self.threat, n_points=self.n_points)
