"""AFL++'s havoc stage as an agent: stacked random mutations, chosen by nothing that was seen."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from inoculate.agent import Action, Agent, Policy, Space
from inoculate.fuzzing.chance import chance_of, with_chance
from inoculate.fuzzing.corpus import SEED_RULES
from inoculate.fuzzing.operators import FAMILIES, REGIONS
from inoculate.task import FloatArray

_MIXED = FAMILIES.index("mixed")
_ANYWHERE = REGIONS.index("anywhere")
_STACKS = 4
_RULES = (
    SEED_RULES.index("fresh"),
    SEED_RULES.index("fresh"),
    SEED_RULES.index("cheapest"),
    SEED_RULES.index("any"),
)


class _Havoc(Policy):
    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def act(self, observation: FloatArray) -> Action:
        del observation
        stack = 1 + int(self._rng.random() * _STACKS)
        return Action(_MIXED, stack, _ANYWHERE, _RULES[int(self._rng.random() * len(_RULES))])

    def learn(self, action: Action, reward: float) -> None:
        del action, reward

    def memory(self) -> Mapping[str, npt.NDArray[Any]]:
        return {"chance": chance_of(self._rng)}

    def remember(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        self._rng = with_chance(memory)


class AflHavoc(Agent):
    """Havoc: 2, 4, 8 or 16 operators of any family, anywhere.

    After afl-fuzz's ``fuzz_one_original`` (havoc stage, ``1 << (1 + rand(4))`` operators).
    Departures: seeds are chosen half by how seldom they were mutated and a quarter by size times
    cost, in place of AFL's favoured set and performance score; sixteen mutants a seed, not
    hundreds; the families of text tokens, lengths and balanced changes are in the mixture too.
    """

    baseline: ClassVar[bool] = True

    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return the stage; it needs nothing of the program."""
        del space
        return _Havoc(seed)
