"""ANIL: MAML whose inner loop moves the head only; the body is learned once for all tasks.

References:
    Raghu, Raghu, Bengio and Vinyals, "Rapid Learning or Feature Reuse? Towards Understanding
    the Effectiveness of MAML", ICLR 2020, section 4. Departures: columns are expressed against
    the background first; one binary head a class against background and the other classes,
    both sides weighing half; AdamW in the outer loop.
"""

from torch import Tensor
from torch.nn import functional

from inoculate.features.block_detector import BlockDetector
from inoculate.nn.encoders import Layout, Parameters, layers, mlp, part
from inoculate.nn.inner_loop import adapt_linear
from inoculate.nn.meta_learner import MetaLearner, Side
from inoculate.task import Support


class Anil(MetaLearner):
    """Meta-trained: needs ``meta_fit`` or a prior, and the columns it was meta-trained on.

    Half of MAML's cost in meta-training, and a shared body in scoring: about 2 us a record.

    Args:
        hidden: width of the body's hidden layer.
        embedding: width of the body's output.
        steps: gradient steps of the inner loop.
        inner_rate: size of each.
        first_order: leave out second derivatives in meta-training.
        batch_size: binary problems a step of the outer loop.
        rate: step size of the outer loop.
        n_points: background records that novelty is measured from.
    """

    def __init__(
        self,
        *,
        hidden: int = 64,
        embedding: int = 64,
        steps: int = 5,
        inner_rate: float = 0.5,
        first_order: bool = False,
        batch_size: int = 16,
        rate: float = 2e-3,
        n_points: int = 64,
    ) -> None:
        super().__init__(batch_size=batch_size, rate=rate, n_points=n_points)
        self.hidden = hidden
        self.embedding = embedding
        self.steps = steps
        self.inner_rate = inner_rate
        self.first_order = first_order

    def layout(self, width: int) -> Layout:
        """Return a body of two layers and a linear head."""
        body = layers((width, self.hidden, self.embedding))
        return body | layers((self.embedding, 1), "head.")

    def embed(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the body's output, (..., embedding)."""
        return functional.gelu(mlp(parameters, x))

    def fit_side(self, parameters: Parameters, x: Tensor, y: Tensor, w: Tensor) -> Side:
        """Return the head after the inner loop's steps."""
        return adapt_linear(
            part(parameters, "head."),
            x,
            y,
            w,
            steps=self.steps,
            rate=self.inner_rate,
            first_order=self.first_order,
        )

    def log_odds(self, parameters: Parameters, side: Side, query: Tensor) -> Tensor:
        """Return the adapted head's output."""
        return mlp(side, query)[:, 0]

    def adapt(self, support: Support, *, seed: int = 0) -> BlockDetector:
        """Take the inner loop's steps for each class; ``seed`` changes nothing."""
        self.check_fits(support)
        return BlockDetector.of(support, self.side, self.threat, n_points=self.n_points)
