"""Meta-training of a policy over programs by proximal policy optimisation.

References:
    Schulman, Wolski, Dhariwal, Radford and Klimov, "Proximal Policy Optimization Algorithms",
    arXiv 1707.06347, 2017, equation 7 and algorithm 1.
    Schulman, Moritz, Levine, Jordan and Abbeel, "High-Dimensional Continuous Control Using
    Generalized Advantage Estimation", ICLR 2016, equation 16.
    Departures: rewards are told in time by a program's ``Yardstick``, and advantages are
    standardised within each program, since programs differ by orders of magnitude in what
    there is to find; the loss of the value is Huber's.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from inoculate.agent import Environment, Policy, Space
from inoculate.errors import TaskError
from inoculate.fuzzing.policies.choices import Scale
from inoculate.fuzzing.trajectories import Trajectory, collect
from inoculate.nn.outer_loop import one_thread
from inoculate.nn.policy_yardstick import Yardstick
from inoculate.task import FloatArray

_CLIP = 0.2
_VALUE_WEIGHT = 0.5
_LARGEST_GRADIENT = 0.5
_FURTHEST = 0.1


@dataclass(frozen=True, slots=True)
class Outer:
    """The outer loop.

    Attributes:
        n_iterations: batches of trajectories.
        n_programs: programs in a batch.
        n_trajectories: of each of them.
        n_passes: over a batch, at most; it ends early where the policy has moved far.
        n_rows: rows of a step of the optimiser.
        rate: of Adam, falling linearly to a tenth.
        discount: of rewards to come, a decision.
        trace: decay of the advantage estimate.
        entropy: weight of the entropy, falling linearly to zero.
    """

    n_iterations: int
    n_programs: int = 8
    n_trajectories: int = 2
    n_passes: int = 8
    n_rows: int = 32
    rate: float = 1e-3
    discount: float = 0.995
    trace: float = 0.95
    entropy: float = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B rows of up to T decisions, shorter ones padded.

    Attributes:
        x: (B, T, n) observations, scaled.
        actions: (B, T, 4) int64.
        rewards: (B, T) as the policy got them.
        weight: (B, T) 1 for a decision, 0 for padding.
        start: (B, h) state before the first decision, h = 0 where there is none.
        old: (B, T) log-probability of each action when it was taken.
        advantage: (B, T).
        target: (B, T) of the value.
    """

    x: Tensor
    actions: Tensor
    rewards: Tensor
    weight: Tensor
    start: Tensor
    old: Tensor
    advantage: Tensor
    target: Tensor

    def take(self, rows: Tensor) -> "Batch":
        """Return some of the rows."""
        return Batch(*(getattr(self, name)[rows] for name in self.__slots__))


class PolicyNet(nn.Module):
    """A policy as a function of whole trajectories, to be differentiated.

    Args:
        space: of the programs.
        scale: of their observations.
    """

    def __init__(self, space: Space, scale: Scale) -> None:
        super().__init__()
        self.space = space
        self.scale = scale

    @abstractmethod
    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits (B, T, width) and values (B, T)."""

    @abstractmethod
    def acting(self, *, seed: int) -> Policy:
        """Return the policy as it acts now, without torch."""

    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return parameters, and how much faster than ``Outer.rate`` they learn."""
        return [(list(self.parameters()), 1.0)]

    def cut(self, batch: Batch) -> Batch:
        """Return the rows that a step of the optimiser is made of; here whole trajectories."""
        return batch


Net = TypeVar("Net", bound=PolicyNet)


def log_probabilities(
    logits: Tensor, actions: Tensor, sizes: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Return log-probability of actions (..., 4) and entropy of the choice, both (...)."""
    chosen, entropy = torch.zeros(actions.shape[:-1]), torch.zeros(actions.shape[:-1])
    for part, found in enumerate(torch.split(logits, list(sizes), dim=-1)):
        log_p = found.log_softmax(-1)
        chosen = chosen + log_p.gather(-1, actions[..., part, None]).squeeze(-1)
        entropy = entropy - (log_p.exp() * log_p).sum(-1)
    return chosen, entropy


def gae(
    rewards: Tensor, values: Tensor, weight: Tensor, *, discount: float, trace: float
) -> Tensor:
    """Return generalised advantages, (B, T).

    A trajectory ends when its budget does, not because nothing more is to be had: the last
    decision's own value stands in for what would have come after.

    Args:
        rewards: (B, T).
        values: (B, T) before each decision.
        weight: (B, T) 0 for padding, which is at the end.
        discount: of rewards to come.
        trace: decay of the estimate.
    """
    n = rewards.shape[1]
    found, after = torch.zeros_like(rewards), torch.zeros(len(rewards))
    following = torch.zeros(len(rewards))
    for t in range(n - 1, -1, -1):
        last = weight[:, t + 1] == 0 if t + 1 < n else torch.ones(len(rewards), dtype=torch.bool)
        ahead = torch.where(last, values[:, t], following)
        better = rewards[:, t] + discount * ahead - values[:, t]
        after = better + discount * trace * torch.where(last, torch.zeros(()), after)
        found[:, t] = after * weight[:, t]
        following = values[:, t]
    return found


def pad(trajectories: Sequence[Trajectory], scale: Scale) -> Batch:
    """Return trajectories as one batch, with nothing estimated yet."""
    b, t = len(trajectories), max(len(one) for one in trajectories)
    n = trajectories[0].observations.shape[1]
    x, rewards = torch.zeros(b, t, n), torch.zeros(b, t)
    actions = torch.zeros(b, t, trajectories[0].actions.shape[1], dtype=torch.int64)
    weight = torch.zeros(b, t)
    for i, one in enumerate(trajectories):
        m = len(one)
        x[i, :m] = torch.from_numpy(scale(one.observations[:-1]))
        actions[i, :m] = torch.from_numpy(one.actions)
        rewards[i, :m] = torch.from_numpy(one.rewards)
        weight[i, :m] = 1.0
    nothing = torch.zeros(b, t)
    return Batch(x, actions, rewards, weight, torch.zeros(b, 0), nothing, nothing, nothing)


def standardised(advantage: Tensor, weight: Tensor, group: int) -> Tensor:
    """Return advantages (B, T) with mean 0 and spread 1 in each ``group`` neighbouring rows."""
    found = advantage.reshape(-1, group * advantage.shape[1])
    w = weight.reshape(found.shape)
    count = w.sum(1, keepdim=True).clamp(min=1)
    centred = found - (found * w).sum(1, keepdim=True) / count
    spread = ((centred**2 * w).sum(1, keepdim=True) / count).sqrt()
    return (centred / (spread + 1e-6) * w).reshape(advantage.shape)


def _estimated(net: PolicyNet, batch: Batch, worth: Sequence[FloatArray], outer: Outer) -> Batch:
    """Return the batch with old log-probabilities, advantages and targets."""
    rewards = torch.zeros_like(batch.rewards)
    for row, one in zip(rewards, worth, strict=True):
        row[: len(one)] = torch.from_numpy(one * np.float32(1 - outer.discount))
    with torch.no_grad():
        logits, values = net(batch)
        old, _ = log_probabilities(logits, batch.actions, net.space.actions)
        found = gae(rewards, values, batch.weight, discount=outer.discount, trace=outer.trace)
        better = standardised(found, batch.weight, outer.n_trajectories)
    return replace(batch, old=old, advantage=better, target=found + values)


def loss_of(net: PolicyNet, batch: Batch, *, entropy: float) -> tuple[Tensor, float]:
    """Return the clipped loss, and about how far the policy has moved (a KL divergence)."""
    logits, values = net(batch)
    now, spread = log_probabilities(logits, batch.actions, net.space.actions)
    moved = (now - batch.old) * batch.weight
    ratio = moved.exp()
    count = batch.weight.sum().clamp(min=1)
    gain = torch.minimum(
        ratio * batch.advantage, ratio.clamp(1 - _CLIP, 1 + _CLIP) * batch.advantage
    )
    value = nn.functional.huber_loss(values, batch.target, reduction="none")
    terms = -gain + _VALUE_WEIGHT * value - entropy * spread
    far = float(((ratio - 1 - moved).detach() * batch.weight).sum() / count)
    return (terms * batch.weight).sum() / count, far


def improve(
    net: PolicyNet, optimiser: torch.optim.Optimizer, batch: Batch, outer: Outer, *, left: float
) -> None:
    """Move the net by some passes over a batch.

    Args:
        net: is moved.
        optimiser: of its parameters.
        batch: with advantages.
        outer: how.
        left: share of the training that lies ahead, 0 to 1.
    """
    for group, (_, faster) in zip(optimiser.param_groups, net.rates(), strict=True):
        group["lr"] = outer.rate * faster * (0.1 + 0.9 * left)
    for _ in range(outer.n_passes):
        rows = net.cut(batch)
        for part in torch.split(torch.arange(len(rows.x)), outer.n_rows):
            # neighbours are of one program: every step takes its rows from all over the batch
            mixed = (part * _stride(len(rows.x))) % len(rows.x)
            loss, far = loss_of(net, rows.take(mixed), entropy=outer.entropy * left)
            if far > _FURTHEST:
                return
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), _LARGEST_GRADIENT)
            optimiser.step()


def _stride(n: int) -> int:
    """Return a number that shares no factor with n, about 0.6 n."""
    found = max(round(0.618 * n), 1)
    while np.gcd(found, n) != 1:
        found += 1
    return found


def train(
    environments: Sequence[Environment],
    build: Callable[[Space, Scale], Net],
    outer: Outer,
    *,
    seed: int,
) -> Iterator[tuple[Net, float]]:
    """Yield the net after each iteration, and how far its trajectories came.

    That is relative to the first visits of the same programs: 2.0 means that they found as
    much as would have taken the policy of the first visit four times as long.

    Args:
        environments: programs; looked up when one is needed, so they may be compiled then.
        build: makes the net, given what the programs share and the scale of observations.
        outer: how long and how.
        seed: of all chance.

    Raises:
        TaskError: there is no program.
    """
    if not environments:
        raise TaskError("meta-training needs at least one program")
    rng = np.random.default_rng(seed)
    space, n_programs = environments[0].space, min(outer.n_programs, len(environments))
    yardsticks: dict[int, Yardstick] = {}
    net = build(space, _plain(space))
    groups = [{"params": params} for params, _ in net.rates()]
    optimiser = torch.optim.Adam(groups, lr=outer.rate, eps=1e-5)
    order: list[int] = []
    for i in range(outer.n_iterations):
        while len(order) < n_programs:
            order += rng.permutation(len(environments)).tolist()
        which, order = order[:n_programs], order[n_programs:]
        found = _collected(net, environments, which, outer.n_trajectories, rng)
        if i == 0:
            net.scale = Scale.of(np.concatenate([one.observations for one in found]))
        worth = _told_in_time(found, np.repeat(which, outer.n_trajectories).tolist(), yardsticks)
        with one_thread():
            batch = _estimated(net, pad(found, net.scale), worth, outer)
            if i:  # the first trajectories were seen unscaled: they only set the scale
                improve(net, optimiser, batch, outer, left=1 - i / outer.n_iterations)
        yield net, float(np.mean([one.mean() for one in worth]))


def _plain(space: Space) -> Scale:
    return Scale(np.zeros(space.n_observed, np.float32), np.ones(space.n_observed, np.float32))


def _collected(
    net: PolicyNet,
    environments: Sequence[Environment],
    which: Sequence[int],
    n_trajectories: int,
    rng: np.random.Generator,
) -> list[Trajectory]:
    found = []
    for one in which:
        environment = environments[one]
        for _ in range(n_trajectories):
            policy_seed, seed = rng.integers(1 << 31, size=2).tolist()
            found.append(collect(net.acting(seed=policy_seed), environment, seed=seed))
    return found


def _told_in_time(
    found: Sequence[Trajectory], of: Sequence[int], yardsticks: dict[int, Yardstick]
) -> list[FloatArray]:
    """Return each trajectory's progress; keep yardsticks of programs seen first."""
    for program in set(of) - set(yardsticks):
        first = [one for one, which in zip(found, of, strict=True) if which == program]
        yardsticks[program] = Yardstick(first)
    return [yardsticks[p].progress(one.rewards) for one, p in zip(found, of, strict=True)]
