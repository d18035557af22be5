"""A learner's meta-gradient against finite differences, in double precision.

A common error in meta-learning code is an outer loss that is not differentiated through the
inner loop: it runs, learns something, and is wrong. This finds it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from inoculate.features.space import problems
from inoculate.nn.encoders import Parameters, draw
from inoculate.nn.meta_learner import MetaLearner
from inoculate.nn.outer_loop import TaskBatch, one_thread, pack
from inoculate.task import Task

_STEP = 1e-5  # central differences: an error of its square beside one of 1e-16 / step
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class MetaGradient:
    """Some entries of a meta-gradient, computed in two ways.

    Attributes:
        backward: (n,) by differentiating through the inner loop.
        differences: (n,) by central differences.
    """

    backward: npt.NDArray[np.float64]
    differences: npt.NDArray[np.float64]

    @property
    def gap(self) -> float:
        """Largest difference relative to the largest entry."""
        largest = max(float(np.abs(self.differences).max()), 1e-300)
        return float(np.abs(self.backward - self.differences).max()) / largest


def meta_gradient(
    learner: MetaLearner, task: Task, *, entries: int = 5, seed: int = 0
) -> MetaGradient:
    """Return about ``entries`` entries of each array's meta-gradient, in double precision.

    Costs two evaluations of the meta-loss an entry: give it a small task and a small network.
    The meta-loss is that of the first step of meta-training.

    Args:
        learner: what it has learned is not looked at.
        task: its classes are one batch of problems.
        entries: of each array, evenly spread.
        seed: of the parameters that the gradient is taken at.
    """
    batch = pack(list(problems([task]))).to(torch.float64)
    layout = learner.layout(batch.support.shape[-1])
    drawn = draw(layout, seed=seed, dtype=torch.float64)
    parameters = {k: v.requires_grad_() for k, v in drawn.items()}
    with one_thread():
        slopes = torch.autograd.grad(
            learner.meta_loss(parameters, batch, step=0), [*parameters.values()]
        )
        backward, differences = [], []
        for array, slope in zip(parameters.values(), slopes, strict=True):
            for i in range(0, array.numel(), max(1, array.numel() // entries)):
                backward.append(slope.flatten()[i].item())
                differences.append(_difference(learner, parameters, batch, array.view(-1), i))
    return MetaGradient(np.array(backward), np.array(differences))


@torch.no_grad()
def _difference(
    learner: MetaLearner, parameters: Parameters, batch: TaskBatch, flat: torch.Tensor, i: int
) -> float:
    before, ends = flat[i].item(), []
    for sign in (1, -1):
        flat[i] = before + sign * _STEP
        ends.append(learner.meta_loss(parameters, batch, step=0).item())
    flat[i] = before
    return (ends[0] - ends[1]) / (2 * _STEP)


def check_meta_gradient(learner: MetaLearner, task: Task, *, seed: int = 0) -> None:
    """Hold a learner's meta-gradient against finite differences.

    Raises:
        AssertionError: they differ, or there is no gradient at all.

    Example:
        >>> from inoculate.checks import toy_tasks
        >>> from inoculate.learners.maml import Maml
        >>> (task,) = toy_tasks(1, seed=0, n_shot=2, n_background=8)
        >>> check_meta_gradient(Maml(hidden=4), task)
        >>> check_meta_gradient(Maml(hidden=4, first_order=True), task)
        Traceback (most recent call last):
        AssertionError: the meta-gradient is off by ...
    """
    found = meta_gradient(learner, task, seed=seed)
    if not np.abs(found.differences).max() > _TOLERANCE:
        raise AssertionError("the meta-loss does not depend on the parameters")
    if not found.gap < _TOLERANCE:
        raise AssertionError(f"the meta-gradient is off by {found.gap:.2g} of its largest entry")
