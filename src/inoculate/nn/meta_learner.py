"""What learners share that meta-train one set of arrays over batches of binary problems."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Self

import torch
from torch import Tensor

from inoculate.learner import Learner, State
from inoculate.nn.encoders import Layout, Parameters, draw
from inoculate.nn.outer_loop import Problem, TaskBatch, check_columns, meta_train, restore
from inoculate.task import FloatArray, Support, Task


class MetaLearner(Learner):
    """Meta-trained: needs ``meta_fit`` or a prior, and the columns it was meta-trained on.

    A learner on top of it says which arrays there are, what their loss on a batch is, and how
    a support set is adapted to.

    Attributes:
        plain: outer steps are plain gradient steps; see ``meta_train``.

    Args:
        batch_size: binary problems a step of the outer loop.
        rate: step size of the outer loop.
        n_points: background records that novelty is measured from.
    """

    meta_trained: ClassVar[bool] = True
    plain: ClassVar[bool] = False

    def __init__(self, *, batch_size: int, rate: float, n_points: int) -> None:
        self.batch_size = batch_size
        self.rate = rate
        self.n_points = n_points
        self.parameters_: Parameters = {}

    @staticmethod
    @abstractmethod
    def problems(tasks: Iterable[Task]) -> Iterator[Problem]:
        """Yield binary problems made of tasks."""

    @abstractmethod
    def layout(self, width: int) -> Layout:
        """Return the learned arrays for a width of the input; ``w0`` takes the input."""

    @abstractmethod
    def meta_loss(self, parameters: Parameters, batch: TaskBatch) -> Tensor:
        """Return the mean loss over a batch of problems, to be differentiated."""

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> Self:
        """Learn the arrays in one pass over the tasks; without any, nothing changes."""
        learned = meta_train(
            self.problems(tasks),
            lambda width: draw(self.layout(width), seed=seed),
            self.meta_loss,
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


def on_arrays(logits: Callable[[Tensor], Tensor]) -> Callable[[FloatArray], FloatArray]:
    """Return a function of tensors as one of arrays that keeps no gradients."""

    def of_arrays(x: FloatArray) -> FloatArray:
        with torch.inference_mode():
            found: FloatArray = logits(torch.from_numpy(x)).numpy()
            return found

    return of_arrays
