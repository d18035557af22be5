"""What an agent sees of a run so far, as numbers, and what a round of mutants was worth."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inoculate.agent import Action, Space
from inoculate.fuzzing.corpus import SEED_RULES, Corpus, Seed
from inoculate.fuzzing.operators import FAMILIES, INTENSITIES, REGIONS
from inoculate.task import FloatArray

ACTIONS = (len(FAMILIES), len(INTENSITIES), len(REGIONS), len(SEED_RULES))
ROUND = 16
"""Mutants made by one decision."""
BUG_WORTH = 10.0
COUNT_WORTH = 0.05
_KEEP = 0.98
_CHEAP, _DEAR = 0.5, 4.0

_PARTS = tuple(
    (*FAMILIES, *(f"x{n}" for n in INTENSITIES), *REGIONS, *(f"seed {rule}" for rule in SEED_RULES))
)
_REST = (
    "executions",
    "since the last new edge",
    "seeds",
    "edges",
    "last reward",
    "mean reward",
    "seed's size",
    "seed's depth",
    "seed's age",
    "seed's times chosen",
    "seed's rarity",
    "seed's entropy",
    "seed's text",
    "seed's hot share",
    "seed's finds",
)
OBSERVED = (
    *(f"yield of {part}" for part in _PARTS),
    *(f"use of {family}" for family in FAMILIES),
    *(f"last was {part}" for part in _PARTS),
    *_REST,
)
"""What each number of an observation is."""
SPACE = Space(ACTIONS, n_observed=len(OBSERVED))
_SEEDS = OBSERVED.index("seeds")
_SEEDS_UNIT = 10


def worth(new_edges: int, new_counts: int) -> float:
    """Return what a kept mutant is worth: ``1 + log2(1 + edges)``, or 0.05 for new counts only."""
    return 1.0 + math.log2(1 + new_edges) if new_edges else COUNT_WORTH * bool(new_counts)


def seeds_of(observation: FloatArray) -> float:
    """Return how many seeds the corpus has, as it is seen."""
    return float(2.0 ** (_SEEDS_UNIT * float(observation[_SEEDS]))) - 1.0


@dataclass(slots=True)
class Round:
    """What the mutants of one decision did.

    Attributes:
        executions: inputs that were run.
        gain: worth of those that were kept, and of bugs.
        steps: places passed on average, 0 where that is not known.
    """

    executions: int
    gain: float
    steps: float = 0.0


class History:
    """Yields of each choice, lately; kept by whatever runs the program."""

    def __init__(self) -> None:
        self.executions = 0
        self.since = 0
        self._tries = [np.zeros(n) for n in ACTIONS]
        self._gains = [np.zeros(n) for n in ACTIONS]
        self._steps = 0.0
        self._last = np.zeros(sum(ACTIONS), np.float32)
        self._reward = 0.0

    def note(self, action: Action, made: Round) -> float:
        """Take a round; return its reward: the gain by the cost of an input, relative to before."""
        self.executions += made.executions
        self.since = 0 if made.gain >= 1.0 else self.since + made.executions
        cost = 1.0
        if made.steps:
            self._steps = self._steps or made.steps
            cost = min(max(made.steps / self._steps, _CHEAP), _DEAR)
            self._steps += 0.02 * (made.steps - self._steps)
        self._reward = made.gain / cost
        self._last[:] = 0.0
        start = 0
        for tries, gains, chosen in zip(self._tries, self._gains, action, strict=True):
            tries *= _KEEP
            gains *= _KEEP
            tries[chosen] += 1.0
            gains[chosen] += self._reward
            self._last[start + chosen] = 1.0
            start += len(tries)
        return self._reward

    def observe(self, seed: Seed, corpus: Corpus, *, known: int) -> FloatArray:
        """Return what is seen before the next action, (SPACE.n_observed,) float32.

        Its numbers are named by ``OBSERVED``; counts and yields as logarithms.

        Args:
            seed: to be mutated next.
            corpus: that it belongs to.
            known: edges touched so far.
        """
        yields = [g / (t + 1.0) for t, g in zip(self._tries, self._gains, strict=True)]
        used = self._tries[0] / (self._tries[0].sum() + 1.0)
        seen = np.concatenate([*yields, used, self._last, self._rest(seed, corpus, known)])
        seen[: sum(ACTIONS)] = np.log1p(seen[: sum(ACTIONS)])
        return seen.astype(np.float32)

    def _rest(self, seed: Seed, corpus: Corpus, known: int) -> list[float]:
        size = len(seed.data)
        return [
            math.log10(self.executions + 1) / 6,
            math.log10(self.since + 1) / 5,
            math.log2(len(corpus.seeds) + 1) / _SEEDS_UNIT,
            math.log2(known + 1) / 12,
            math.log1p(self._reward),
            math.log1p(sum(self._gains[0]) / (sum(self._tries[0]) + 1.0)),
            math.log2(size + 1) / 12,
            min(seed.depth, 20) / 10,
            math.log10(self.executions - seed.born + 1) / 6,
            math.log2(seed.chosen + 1) / 8,
            math.log10(corpus.rarity(seed) + 1) / 6,
            seed.entropy / 8,
            seed.text,
            min(len(seed.hot), size) / (size + 1),
            math.log2(seed.finds + 1) / 5,
        ]

    def memory(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return all that has moved, to go on from after a stop."""
        return {
            "tries": np.concatenate(self._tries),
            "gains": np.concatenate(self._gains),
            "last": self._last.astype(np.float64),
            "rest": np.array([self.executions, self.since, self._steps, self._reward]),
        }

    def remember(self, memory: dict[str, npt.NDArray[np.float64]]) -> None:
        """Take what ``memory`` returned."""
        ends = np.cumsum(ACTIONS)[:-1]
        self._tries = [a.copy() for a in np.split(memory["tries"], ends)]
        self._gains = [a.copy() for a in np.split(memory["gains"], ends)]
        self._last = memory["last"].astype(np.float32)
        executions, since, self._steps, self._reward = memory["rest"].tolist()
        self.executions, self.since = int(executions), int(since)
