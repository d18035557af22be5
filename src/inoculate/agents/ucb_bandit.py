"""A bandit that learns each program from nothing: UCB1-Tuned on every part of an action."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from inoculate.agent import Action, Agent, Policy, Space
from inoculate.errors import ArtifactError
from inoculate.fuzzing.chance import chance_of, with_chance
from inoculate.task import FloatArray


class _Ucb(Policy):
    """Layers of arms, (n, 3): times tried, sum of rewards, sum of their squares."""

    def __init__(self, space: Space, seed: int) -> None:
        operators, intensities, regions, rules = space.actions
        self._rng = np.random.default_rng(seed)
        self._arms = {
            "intensity": np.zeros((1, intensities, 3)),
            "operator": np.zeros((intensities, operators, 3)),
            "region": np.zeros((1, regions, 3)),
            "seed": np.zeros((1, rules, 3)),
        }
        self._rule = np.zeros(1, np.int64)

    def act(self, observation: FloatArray) -> Action:
        del observation
        intensity = self._best(self._arms["intensity"][0])
        operator = self._best(self._arms["operator"][intensity])
        region, seed = self._best(self._arms["region"][0]), self._best(self._arms["seed"][0])
        return Action(operator, intensity, region, seed)

    def learn(self, action: Action, reward: float) -> None:
        gained = float(reward > 0)
        mutated, self._rule[0] = int(self._rule[0]), action.seed  # the seed now was chosen before
        for arm in (
            self._arms["intensity"][0, action.intensity],
            self._arms["operator"][action.intensity, action.operator],
            self._arms["region"][0, action.region],
            self._arms["seed"][0, mutated],
        ):
            arm += (1.0, gained, gained)

    def _best(self, arms: npt.NDArray[np.float64]) -> int:
        tried = arms[:, 0]
        if not tried.all():
            untried = np.flatnonzero(tried == 0)
            return int(untried[int(self._rng.random() * len(untried))])
        mean = arms[:, 1] / tried
        explore = math.log(tried.sum()) / tried
        variance = arms[:, 2] / tried - mean**2 + np.sqrt(2 * explore)
        return int((mean + np.sqrt(explore * np.minimum(0.25, variance))).argmax())

    def memory(self) -> Mapping[str, npt.NDArray[Any]]:
        held = {name: array.copy() for name, array in self._arms.items()}
        return {"chance": chance_of(self._rng), "rule": self._rule.copy(), **held}

    def remember(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        self._rng = with_chance(memory)
        for name, arms in self._arms.items():
            if np.shape(memory.get(name, ())) != arms.shape:
                raise ArtifactError(f"the memory of the bandit needs {name!r}, {arms.shape}")
            self._arms[name] = np.array(memory[name], float)
        rule = np.array(memory.get("rule", ()), np.int64)
        if rule.shape != (1,) or not 0 <= rule[0] < self._arms["seed"].shape[1]:
            raise ArtifactError("the memory of the bandit needs 'rule', an index")
        self._rule = rule


class UcbBandit(Agent):
    """Havoc-MAB: a bandit of stack sizes over bandits of operators.

    Wu, Jiang, Xiang et al., "One Fuzzing Strategy to Rule Them All" (ICSE 2022), section 4, with
    UCB1-Tuned (Auer, Cesa-Bianchi, Fischer 2002, section 4) and its reward: 1 when a round kept
    a mutant. Departures: region and rule of seeds are bandits too, so that all agents choose
    from the same actions; the bandits are the program's, not each seed's.
    """

    baseline: ClassVar[bool] = True

    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return bandits that know nothing yet."""
        return _Ucb(space, seed)
