"""Meta-trains the evidence network: tasks of any tables, some columns of each at a time.

References:
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.
    Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM Journal on
    Control and Optimization 30, 1992. Departure: an exponential average, shorter at first.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from inoculate.nn.evidence import EvidenceNet
from inoculate.nn.inner_loop import balanced_log_loss
from inoculate.nn.outer_loop import one_thread
from inoculate.task import FloatArray, Task

_SMOOTHING = 0.995  # of the running average of weights that is kept
_WARM_UP = 20  # steps until the full rate


@dataclass(frozen=True, slots=True)
class Schooling:
    """How the network is meta-trained.

    Attributes:
        n_columns: fewest and most columns of a task.
        no_examples: share of tasks that show none.
        batch_size: binary problems a step.
        rate: of AdamW.
    """

    n_columns: tuple[int, int] = (8, 32)
    no_examples: float = 0.1
    batch_size: int = 8
    rate: float = 2e-3


def meta_train_net(
    net: EvidenceNet, tasks: Iterable[Task], how: Schooling, *, seed: int
) -> EvidenceNet | None:
    """Train a network in one pass over the tasks, one thread; None when there is no task.

    Args:
        net: to start from; it is changed, and returned with the average of its weights.
        tasks: read once, a batch at a time; may have different columns each.
        how: sizes and rates.
        seed: of the columns chosen and the examples withheld.
    """
    optimiser = torch.optim.AdamW(net.parameters(), lr=how.rate, weight_decay=0.01)
    average = {k: v.detach().clone() for k, v in net.state_dict().items()}
    step = 0
    with one_thread():
        for batch in _batches(tasks, how, np.random.default_rng(seed)):
            step += 1
            optimiser.param_groups[0]["lr"] = how.rate * min(1.0, step / _WARM_UP)
            optimiser.zero_grad()
            _loss(net, batch).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            keep = min(_SMOOTHING, (step - 1) / (step + 9))
            for name, value in net.state_dict().items():
                average[name].mul_(keep).add_(value, alpha=1 - keep)
    if not step:
        return None
    net.load_state_dict(average)
    return net.eval().requires_grad_(False)


def _batches(
    tasks: Iterable[Task], how: Schooling, rng: np.random.Generator
) -> Iterator[tuple[Tensor, ...]]:
    """Yield examples, their mask, background, queries and targets of some problems."""
    problems = ((t, c) for t in tasks for c in range(t.support.n_way))
    while chosen := list(islice(problems, how.batch_size)):
        widest = min(t.support.background.stacked().shape[1] for t, _ in chosen)
        low, high = (min(n, widest) for n in how.n_columns)
        width = int(rng.integers(low, high + 1))
        yield tuple(
            torch.from_numpy(np.stack(parts))
            for parts in zip(
                *_aligned([_problem(t, c, width, how.no_examples, rng) for t, c in chosen], rng),
                strict=True,
            )
        )


def _problem(
    task: Task, c: int, width: int, no_examples: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return examples, background, queries and targets of one class in some columns."""
    background = task.support.background.stacked()
    known = np.flatnonzero((~np.isnan(background)).any(axis=0))
    columns = rng.permutation(known)[:width]
    columns = np.concatenate([columns, rng.integers(0, background.shape[1], width - len(columns))])
    mine = task.support.examples.x.stacked()[task.support.examples.y == c]
    if rng.random() < no_examples:
        mine = mine[:0]
    rows = rng.permutation(len(task.query))
    query, target = task.query.x.stacked()[rows], task.query.y[rows] == c
    return mine[:, columns], background[:, columns], query[:, columns], target.astype(np.float32)


def _loss(net: EvidenceNet, batch: tuple[Tensor, ...]) -> Tensor:
    """Return the mean loss over problems, in each of which both sides weigh half."""
    examples, mask, background, query, target = batch
    logits = net(net.condition(examples, mask, background), query)
    losses = [
        balanced_log_loss(one, y, torch.ones_like(y)) for one, y in zip(logits, target, strict=True)
    ]
    return torch.stack(losses).mean()


def _aligned(
    problems: list[tuple[FloatArray, FloatArray, FloatArray, FloatArray]],
    rng: np.random.Generator,
) -> Iterator[tuple[FloatArray, ...]]:
    """Yield the problems with examples padded and the rest cut to one length each."""
    most = max(1, *(len(p[0]) for p in problems))
    most_background = min(len(p[1]) for p in problems)
    n_background = int(rng.integers(min(20, most_background), most_background + 1))
    n_query = min(len(p[2]) for p in problems)
    for mine, background, query, target in problems:
        padded = np.full((most, mine.shape[1]), np.nan, np.float32)
        padded[: len(mine)] = mine
        mask = np.zeros(most, np.float32)
        mask[: len(mine)] = 1
        yield padded, mask, background[:n_background], query[:n_query], target[:n_query]
