"""What learners share that meta-train one set of arrays over batches of binary problems.

Such a learner is three pure functions of its arrays: records to embeddings, one class's support
to a *side* (what is kept of it), and a side and queries to log-odds. The outer loop, scoring
and the store follow from them.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import count
from typing import ClassVar, Self

import torch
from torch import Tensor

from inoculate.features.space import problems
from inoculate.learner import Learner, State
from inoculate.nn.encoders import Layout, Parameters, draw
from inoculate.nn.inner_loop import balanced_log_loss
from inoculate.nn.outer_loop import (
    TaskBatch,
    check_columns,
    meta_train,
    one_thread,
    over_problems,
    restore,
)
from inoculate.task import FloatArray, Support, Task

Side = Parameters
"""What a learner keeps of one class against the rest, by name."""


class MetaLearner(Learner):
    """Meta-trained: needs ``meta_fit`` or a prior, and the columns it was meta-trained on.

    Attributes:
        plain: outer steps are plain gradient steps; see ``meta_train``.

    Args:
        batch_size: binary problems a step of the outer loop.
        rate: step size of the outer loop.
        n_points: background records that novelty is measured from.
    """

    meta_trained: ClassVar[bool] = True
    plain: ClassVar[bool] = False

    def __init__(self, *, batch_size: int, rate: float, n_points: int = 64) -> None:
        self.batch_size = batch_size
        self.rate = rate
        self.n_points = n_points
        self.parameters_: Parameters = {}

    @abstractmethod
    def layout(self, width: int) -> Layout:
        """Return the learned arrays for a width of the input; ``w0`` takes the input."""

    def embed(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return what of a record (..., d) does not depend on the class; here all of it."""
        return x

    @abstractmethod
    def fit_side(self, parameters: Parameters, x: Tensor, y: Tensor, w: Tensor) -> Side:
        """Return what is kept of one class against the rest.

        Args:
            parameters: of ``layout``.
            x: (s, e) embedded support.
            y: (s,) 1 for examples of the class, 0 for the rest.
            w: (s,) 0 for padding.
        """

    @abstractmethod
    def log_odds(self, parameters: Parameters, side: Side, query: Tensor) -> Tensor:
        """Return log-odds of the class for embedded queries (q, e), (q,)."""

    def meta_loss(
        self, parameters: Parameters, batch: TaskBatch, *, step: int | None = None
    ) -> Tensor:
        """Return the mean loss on the queries, over a batch of problems at once.

        Args:
            parameters: of ``layout``.
            batch: the problems.
            step: batches before this one, for a loss that changes on the way; None: the last.
        """

        def one(
            x: Tensor, y: Tensor, w: Tensor, query: Tensor, query_y: Tensor, query_w: Tensor
        ) -> Tensor:
            side = self.fit_side(parameters, self.embed(parameters, x), y, w)
            logits = self.log_odds(parameters, side, self.embed(parameters, query))
            return balanced_log_loss(logits, query_y, query_w)

        return over_problems(one, batch).mean()

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> Self:
        """Learn the arrays in one pass over the tasks; without any, nothing changes."""
        steps = count()
        learned = meta_train(
            problems(tasks),
            lambda width: draw(self.layout(width), seed=seed),
            lambda parameters, batch: self.meta_loss(parameters, batch, step=next(steps)),
            batch_size=self.batch_size,
            rate=self.rate,
            plain=self.plain,
        )
        self.parameters_ = learned or self.parameters_
        return self

    def check_fits(self, support: Support) -> None:
        """Refuse a support set of other columns, and one that comes before meta-training.

        Raises:
            TaskError: either of the two.
        """
        check_columns(self.parameters_, support, type(self).__module__.rpartition(".")[2])

    @torch.no_grad()
    def side(self, x: FloatArray, target: FloatArray) -> Side:
        """Return what is kept of one class, from its support (s, d) and targets (s,)."""
        with one_thread():
            y = torch.from_numpy(target)
            embedded = self.embed(self.parameters_, torch.from_numpy(x))
            return self.fit_side(self.parameters_, embedded, y, torch.ones_like(y))

    @torch.no_grad()
    def threat(self, sides: Sequence[Side], x: FloatArray) -> FloatArray:
        """Return log-odds of each class, (n, n_way), of records (n, d)."""
        query = self.embed(self.parameters_, torch.from_numpy(x))
        each = [self.log_odds(self.parameters_, side, query) for side in sides]
        found: FloatArray = torch.stack(each, dim=1).numpy()
        return found

    def state(self) -> State:
        """Return the learned arrays by name."""
        return {k: v.numpy() for k, v in self.parameters_.items()}

    def load_state(self, state: State) -> Self:
        """Take the learned arrays.

        Raises:
            ArtifactError: they are not those of ``layout``.
        """
        self.parameters_ = restore(state, self.layout)
        return self
