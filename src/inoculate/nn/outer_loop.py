"""The outer loop: tasks packed into arrays of one shape, and a meta-training run over them.

References:
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.
    Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM Journal on
    Control and Optimization 30, 1992. Departure: an exponential average.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from inoculate.errors import ArtifactError, TaskError
from inoculate.learner import State
from inoculate.nn.encoders import Layout, Parameters
from inoculate.task import FloatArray, Support

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class TaskBatch:
    """B binary problems, one class of a task against its background and other classes.

    All are padded to one shape; a weight of 0 marks padding.

    Attributes:
        support: (B, s, d) examples of the class, then background, then other classes' examples.
        target: (B, s) 1 for the class, 0 for the rest.
        weight: (B, s) 1 for a record, 0 for padding.
        query: (B, q, d); query_target and query_weight (B, q) likewise.
    """

    support: Tensor
    target: Tensor
    weight: Tensor
    query: Tensor
    query_target: Tensor
    query_weight: Tensor

    def to(self, dtype: torch.dtype) -> "TaskBatch":
        """Return the same problems in another floating type."""
        names = ("support", "target", "weight", "query", "query_target", "query_weight")
        return TaskBatch(*(getattr(self, n).to(dtype) for n in names))


One = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], T]
"""Function of one problem: its support, targets and weights, then those of its query."""


def over_problems(one: One[T], batch: TaskBatch) -> T:
    """Return what a function gives for each problem of a batch, all computed at once."""
    found: T = torch.func.vmap(one)(
        batch.support,
        batch.target,
        batch.weight,
        batch.query,
        batch.query_target,
        batch.query_weight,
    )
    return found


Problem = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
"""Support (s, d) and its targets (s,), query (q, d) and its targets (q,)."""


def pack(found: list[Problem]) -> TaskBatch:
    """Return problems of any sizes as one batch."""
    arrays = []
    for x, y in ((0, 1), (2, 3)):
        longest = max(len(p[x]) for p in found)
        rows = np.zeros((len(found), longest, found[0][x].shape[1]), np.float32)
        target, weight = np.zeros((2, len(found), longest), np.float32)
        for i, problem in enumerate(found):
            n = len(problem[x])
            rows[i, :n], target[i, :n], weight[i, :n] = problem[x], problem[y], 1
        arrays += [torch.from_numpy(a) for a in (rows, target, weight)]
    return TaskBatch(*arrays)


def meta_train(
    found: Iterable[Problem],
    initial: Callable[[int], Parameters],
    loss: Callable[[Parameters, TaskBatch], Tensor],
    *,
    batch_size: int,
    rate: float,
    decay: float = 0.01,
    smoothing: float = 0.98,
    plain: bool = False,
) -> Parameters:
    """Return parameters after one pass over the tasks, one AdamW step a batch, one thread.

    What is returned is a running average of the steps. Inputs that were never other than 0,
    such as columns that no source knew, get weight 0 instead of their initial noise.

    Args:
        found: read once, a batch at a time; none returns no parameters.
        initial: given the width of the input, the parameters to start from.
        loss: mean loss of a batch, to be differentiated.
        batch_size: binary problems a step.
        rate: of AdamW, reached after 20 steps; gradients are clipped at norm 1.
        decay: weight decay.
        smoothing: weight of the past in the running average.
        plain: plain gradient steps of size ``rate``, neither clipped nor decayed.

    Raises:
        TaskError: problems with different columns.
    """
    found = iter(found)
    first = next(found, None)
    if first is None:
        return {}
    learned = {k: v.clone().requires_grad_() for k, v in initial(first[0].shape[1]).items()}
    average = {k: v.detach().clone() for k, v in learned.items()}
    values = list(learned.values())
    optimiser: torch.optim.Optimizer = torch.optim.AdamW(values, lr=rate, weight_decay=decay)
    if plain:
        optimiser = torch.optim.SGD(values, lr=rate)
    seen, step = torch.zeros(first[0].shape[1], dtype=torch.bool), 0
    with one_thread():
        for batch in _batches(chain([first], found), batch_size):
            step += 1
            optimiser.param_groups[0]["lr"] = rate * min(1.0, step / 20)
            optimiser.zero_grad()
            loss(learned, batch).backward()  # type: ignore[no-untyped-call]
            if not plain:
                torch.nn.utils.clip_grad_norm_(values, 1.0)
            optimiser.step()
            keep = min(smoothing, (step - 1) / step)
            with torch.no_grad():
                for name, value in learned.items():
                    average[name].mul_(keep).add_(value, alpha=1 - keep)
            seen |= (batch.support != 0).flatten(0, 1).any(dim=0)
    average["w0"][~seen] = 0
    return average


def _batches(found: Iterable[Problem], size: int) -> Iterator[TaskBatch]:
    found = iter(found)
    while batch := list(islice(found, size)):
        if len(widths := {p[0].shape[1] // 2 for p in batch}) > 1:
            raise TaskError(f"tasks have different numbers of columns: {sorted(widths)}")
        yield pack(batch)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, so that sums have one order and results repeat."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def restore(state: State, planned: Callable[[int], Layout]) -> Parameters:
    """Return parameters from stored arrays; none from none.

    Args:
        state: arrays by name, as stored.
        planned: the layout for a width of the input, which ``w0`` tells.

    Raises:
        ArtifactError: an array is missing, one too many, or not what was planned.
    """
    if not state:
        return {}
    width = state["w0"].shape[0] if "w0" in state and state["w0"].ndim else 0
    layout = planned(width)
    if set(state) != set(layout):
        raise ArtifactError(f"state has arrays {sorted(state)}, expected {sorted(layout)}")
    for name, (shape, _) in layout.items():
        found = state[name]
        if found.shape != shape or found.dtype != np.float32:
            raise ArtifactError(f"{name} is {found.dtype} {found.shape}, expected float32 {shape}")
        if not np.isfinite(found).all():
            raise ArtifactError(f"{name} holds a number that is not finite")
    return {k: torch.from_numpy(np.array(state[k])) for k in layout}


def check_columns(parameters: Parameters, support: Support, learner: str) -> None:
    """Refuse a support set that a prior does not fit.

    Raises:
        TaskError: no meta-training, or another number of columns than it had.
    """
    if not parameters:
        raise TaskError(f"{learner} needs meta-training first: meta_fit, load_state or a prior")
    have = sum(x.shape[1] for x in support.background.values())
    if (trained := parameters["w0"].shape[0] // 2) != have:
        raise TaskError(f"{learner} was meta-trained on {trained} columns, the support has {have}")
