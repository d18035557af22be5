"""Meta-trains the evidence network: tasks of any tables, some columns of each at a time.

References:
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    equation 5, for the falling rate. Departure: no restart.
    Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM Journal on
    Control and Optimization 30, 1992. Departure: an exponential average, shorter at first.
    Van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding",
    arXiv 1807.03748, 2018, equation 4, for the loss that wants threats above the highest of the
    rest. Departure: the rest weighs as so many records, however many there are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import cos, log, pi

import numpy as np
import torch
from torch import Tensor

from inoculate.nn.evidence import MOST_EXAMPLES, EvidenceNet
from inoculate.nn.inner_loop import balanced_log_loss
from inoculate.nn.outer_loop import one_thread
from inoculate.task import FloatArray, Task

_SMOOTHING = 0.99  # of the running average of weights that is kept
_WARM_UP = 50  # steps until the full rate
_LOWEST = 0.02  # of the rate that is left in the end
_FEWEST_BACKGROUND = 20
_FIRST = 0.5  # weight of the loss that wants threats above the highest of the rest
_RIVALS = 5.0  # records that the rest weighs in it
_ALONE = 0.5  # of the tasks with several classes, each class is learned without the others


@dataclass(frozen=True, slots=True)
class Schooling:
    """How the network is meta-trained.

    Attributes:
        n_columns: fewest and most columns of a task.
        no_examples: share of tasks that show none.
        batch_size: binary problems a step.
        rate: of AdamW.
        n_steps: over which the rate falls to a fiftieth; 0 leaves it as it is.
    """

    n_columns: tuple[int, int] = (8, 32)
    no_examples: float = 0.1
    batch_size: int = 8
    rate: float = 2e-3
    n_steps: int = 0

    def rate_at(self, step: int) -> float:
        """Return the rate of a step, counted from 1."""
        rate = self.rate * min(1.0, step / _WARM_UP)
        if not self.n_steps:
            return rate
        left = (1 + cos(pi * min(1.0, step / self.n_steps))) / 2
        return rate * (_LOWEST + (1 - _LOWEST) * left)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """One class of a task: examples (k, d), others (o, d), background (m, d), queries (n, d)."""

    mine: FloatArray
    others: FloatArray
    background: FloatArray
    query: FloatArray
    target: FloatArray


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
            optimiser.param_groups[0]["lr"] = how.rate_at(step)
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
    """Yield examples, which are there, other examples, background, queries and targets."""
    problems = ((t, c) for t in tasks for c in range(t.support.n_way))
    while chosen := list(islice(problems, how.batch_size)):
        widest = min(t.support.background.stacked().shape[1] for t, _ in chosen)
        low, high = (min(n, widest) for n in how.n_columns)
        width = _log_uniform(low, high, rng)
        found = [_problem(t, c, width, how.no_examples, rng) for t, c in chosen]
        yield tuple(torch.from_numpy(x) for x in _stacked(found, rng))


def _problem(
    task: Task, c: int, width: int, no_examples: float, rng: np.random.Generator
) -> _Problem:
    """Return one class of a task in some columns."""
    background = task.support.background.stacked()
    known = np.flatnonzero((~np.isnan(background)).any(axis=0))
    columns = rng.permutation(known)[:width]
    columns = np.concatenate([columns, rng.integers(0, background.shape[1], width - len(columns))])
    examples, y = task.support.examples.x.stacked(), task.support.examples.y
    mine, others = examples[y == c], examples[y != c][:MOST_EXAMPLES]
    if rng.random() < no_examples:
        mine = mine[:0]
    rows = rng.permutation(len(task.query))
    if not len(mine) or rng.random() < _ALONE:
        others, rows = others[:0], rows[(task.query.y[rows] == c) | (task.query.y[rows] < 0)]
    query, target = task.query.x.stacked()[rows], task.query.y[rows] == c
    target = target.astype(np.float32)
    return _Problem(
        mine[:, columns], others[:, columns], background[:, columns], query[:, columns], target
    )


def _stacked(problems: list[_Problem], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the arrays of a batch: examples and others padded, the rest cut to one length each."""
    yield (mine := _padded([p.mine for p in problems], 1))
    there = np.arange(mine.shape[1]) < np.array([[len(p.mine)] for p in problems])
    yield there
    yield _padded([p.others for p in problems], 0)
    most = min(len(p.background) for p in problems)
    n_background = _log_uniform(min(_FEWEST_BACKGROUND, most), most, rng)
    yield np.stack([p.background[:n_background] for p in problems])
    n_query = min(len(p.query) for p in problems)
    yield np.stack([p.query[:n_query] for p in problems])
    yield np.stack([p.target[:n_query] for p in problems])


def _log_uniform(low: int, high: int, rng: np.random.Generator) -> int:
    return min(high, int(np.exp(rng.uniform(np.log(low), np.log(high + 1)))))


def _padded(parts: list[FloatArray], fewest: int) -> FloatArray:
    found = np.full(
        (len(parts), max(fewest, *(len(p) for p in parts)), parts[0].shape[1]), np.nan, np.float32
    )
    for row, part in zip(found, parts, strict=True):
        row[: len(part)] = part
    return found


def _loss(net: EvidenceNet, batch: tuple[Tensor, ...]) -> Tensor:
    """Return the mean loss over problems: both sides weigh half, and threats must come first."""
    examples, there, others, background, query, target = batch
    logits = net(net.condition(examples, there, background, others), query)
    losses = [
        balanced_log_loss(one, y, torch.ones_like(y)) + _FIRST * first_loss(one, y)
        for one, y in zip(logits, target, strict=True)
    ]
    return torch.stack(losses).mean()


def first_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return how far each threat is from standing above the highest of the rest, in the mean.

    False alarms are few where threats stand above the highest, not above most.
    """
    rest = logits[target == 0]
    if not len(rest) or len(rest) == len(logits):
        return logits.new_zeros(())
    bar = rest.logsumexp(0) - log(len(rest) / _RIVALS)
    return torch.nn.functional.softplus(bar - logits[target > 0]).mean()
