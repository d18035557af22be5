"""A softmax of what is observed, moved by policy-gradient steps while a program is fuzzed.

References:
    Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement
    Learning", Machine Learning 8, 1992, equation 11 (REINFORCE with a baseline).
    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
    Networks", ICML 2017, section 5.3 and algorithm 3: a gradient step within a task. Departures:
    a step after every window of decisions of one trajectory, not after some trajectories; each
    part of an action has its own size of step, one for the bias and one for the other weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inoculate.agent import Action, Policy, Space
from inoculate.fuzzing.chance import chance_of, with_chance
from inoculate.fuzzing.policies.choices import Heads, Scale, fitting
from inoculate.task import FloatArray

SEED_PART = 3
_MOST_REWARD = 1e6
_LEAST_SPREAD = 0.1


def advantages(rewards: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return how much better than the window's mean each decision was, (N, 4), in its spread.

    A seed chosen by one decision is mutated by the next, so that part takes the next reward.
    Rewards are taken by their logarithm: a first seed's easy edges must not outweigh the rest.

    Args:
        rewards: (N,) of a window's decisions; what is not a number counts 0.
    """
    worth = np.log1p(np.nan_to_num(rewards, nan=0.0, posinf=_MOST_REWARD).clip(0, _MOST_REWARD))
    better = (worth - worth.mean()) / (worth.std() + _LEAST_SPREAD)
    each = np.repeat(better[:, None], SEED_PART + 1, axis=1)
    each[:-1, SEED_PART], each[-1, SEED_PART] = better[1:], 0.0
    return each.astype(np.float32)


def policy_gradient(
    weight: npt.NDArray[Any],
    x: npt.NDArray[Any],
    actions: npt.NDArray[Any],
    advantage: npt.NDArray[Any],
    heads: Heads,
) -> npt.NDArray[Any]:
    """Return the gradient of the mean of ``sum over parts advantage * log p(part)``, (d, width).

    Args:
        weight: (d, width) of the softmaxes.
        x: (N, d) what was observed.
        actions: (N, 4) what was chosen.
        advantage: (N, 4).
        heads: the parts.
    """
    missing = heads.taken(actions) - heads.probabilities(x @ weight)
    gradient: npt.NDArray[Any] = x.T @ (missing * advantage[:, heads.owner]) / len(x)
    return gradient


@dataclass(frozen=True, slots=True, eq=False)
class LinearStart:
    """Where a program's policy starts, and how it moves.

    Attributes:
        weight: (n_observed + 1, width) of the softmaxes; the last row is the bias.
        step: (2, 4) size of a step for the bias, then for the other weights, of each part.
        scale: of what is observed.
        window: decisions between two steps.
    """

    weight: npt.NDArray[np.float32]
    step: npt.NDArray[np.float32]
    scale: Scale
    window: int

    def sizes(self, heads: Heads) -> npt.NDArray[np.float32]:
        """Return the size of a step of each weight, (n_observed + 1, width)."""
        rows = np.ones(len(self.weight), np.int64)
        rows[-1] = 0
        return self.step[rows][:, heads.owner]


class LinearPolicy(Policy):
    """Four softmaxes of what is observed, one gradient step after every window of decisions.

    Args:
        start: weights to begin with and how they move.
        space: of the program.
        seed: of its choices.
    """

    def __init__(self, start: LinearStart, space: Space, *, seed: int) -> None:
        self._heads = Heads(space.actions)
        self._rng = np.random.default_rng(seed)
        self._scale, self._sizes = start.scale, start.sizes(self._heads)
        self._weight = start.weight.astype(np.float32)
        self._x = np.ones((start.window, space.n_observed + 1), np.float32)
        self._actions = np.zeros((start.window, len(space.actions)), np.int64)
        self._rewards = np.zeros(start.window, np.float32)
        self._filled = 0

    def act(self, observation: FloatArray) -> Action:
        """Draw an action; what was observed is kept for the next step."""
        x = self._x[self._filled]
        x[:-1] = self._scale(observation)
        return self._heads.draw(x @ self._weight, self._rng)

    def learn(self, action: Action, reward: float) -> None:
        """Keep what came of the action; take a step when the window is full."""
        self._actions[self._filled] = action
        self._rewards[self._filled] = min(reward, _MOST_REWARD)
        self._filled += 1
        if self._filled == len(self._rewards):
            self._filled = 0
            better = advantages(self._rewards)
            args = (self._weight, self._x, self._actions, better, self._heads)
            self._weight = self._weight + self._sizes * policy_gradient(*args)

    def memory(self) -> Mapping[str, npt.NDArray[Any]]:
        """Return the weights and the window so far."""
        return {
            "chance": chance_of(self._rng),
            "weight": self._weight.copy(),
            "x": self._x.copy(),
            "actions": self._actions.copy(),
            "rewards": self._rewards.copy(),
            "filled": np.array([self._filled]),
        }

    def remember(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what ``memory`` returned."""
        mine = self.memory()
        shapes = {name: array.shape for name, array in mine.items() if name != "chance"}
        held = fitting(memory, shapes, of="the memory of a linear policy")
        rng = with_chance(memory)
        self._filled = int(held["filled"][0]) % len(self._rewards)
        most = np.bincount(self._heads.owner) - 1
        self._actions = held["actions"].astype(np.int64).clip(0, most)
        self._weight, self._x, self._rewards = held["weight"], held["x"], held["rewards"]
        self._rng = rng
