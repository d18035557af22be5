"""Chooses everything at random, always: what every other agent is held against."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from inoculate.agent import Action, Agent, Policy, Space
from inoculate.fuzzing.chance import chance_of, with_chance
from inoculate.task import FloatArray


class _Uniform(Policy):
    def __init__(self, space: Space, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._most = np.array(space.actions)

    def act(self, observation: FloatArray) -> Action:
        del observation
        return Action(*(self._rng.random(4) * self._most).astype(int).tolist())

    def learn(self, action: Action, reward: float) -> None:
        del action, reward

    def memory(self) -> Mapping[str, npt.NDArray[Any]]:
        return {"chance": chance_of(self._rng)}

    def remember(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        self._rng = with_chance(memory)


class Uniform(Agent):
    """Every choice equally likely, whatever came of it."""

    baseline: ClassVar[bool] = True

    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return a policy that ignores what it sees."""
        return _Uniform(space, seed)
