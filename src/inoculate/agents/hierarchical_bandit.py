"""Thompson sampling of mutations, and a taste in seeds that was learned on other programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from inoculate.agent import Action, Agent, Environment, Policy, Space
from inoculate.errors import ArtifactError, TaskError
from inoculate.fuzzing.chance import chance_of, with_chance
from inoculate.fuzzing.corpus import SEED_SEEN
from inoculate.fuzzing.history import OBSERVED, seeds_of
from inoculate.fuzzing.taste import contests, fit_taste
from inoculate.learner import State
from inoculate.task import FloatArray

_FLOOR = 0.02
_START = 0.5
_MANY_STEPS = 10.0

Floats = npt.NDArray[np.float64]


class _Thompson(Policy):
    """For every choice of every part of an action its gain and exposure, parts end to end."""

    def __init__(self, agent: "HierarchicalBandit", space: Space, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._ends = np.cumsum(space.actions)
        self._starts = (self._ends - space.actions).tolist()
        self._agent = agent
        if agent.taste_.any():
            self.taste = tuple((agent.zeal * agent.taste_).tolist())
        n = sum(space.actions)
        self._had = {
            "gain": np.zeros(n),
            "exposure": np.zeros(n),
            "mean": np.array([_START]),
            "rule": np.zeros(1),
        }

    def act(self, observation: FloatArray) -> Action:
        """Draw each choice's yield from its Gamma posterior; take the best of each part."""
        had = self._had
        drawn = self._rng.standard_gamma(self._agent.strength + had["gain"])
        drawn /= self._agent.strength + had["exposure"]
        chosen = [
            int(drawn[start:end].argmax())
            for start, end in zip(self._starts, self._ends, strict=True)
        ]
        if self.taste is not None and self._rng.random() < self._devoted(seeds_of(observation)):
            chosen[-1] = 0
        return Action(*chosen)

    def _devoted(self, n_seeds: float) -> float:
        """Return the share of seeds by taste: less in a corpus larger than those it is from."""
        return self._agent.devotion * min(self._agent.seeds_ / max(n_seeds, 1.0), 1.0) ** 2

    def learn(self, action: Action, reward: float) -> None:
        had, kept = self._had, float(reward > 0)
        # the seed mutated now was chosen by the action before
        choices = (*action[:3], int(had["rule"][0]))
        had["gain"] *= self._agent.keep
        had["exposure"] *= self._agent.keep
        mean = max(float(had["mean"][0]), _FLOOR)
        for start, choice in zip(self._starts, choices, strict=True):
            had["gain"][start + choice] += kept / mean
            had["exposure"][start + choice] += 1.0
        had["mean"][0] += self._agent.pace * (kept - had["mean"][0])
        had["rule"][0] = action.seed

    def memory(self) -> Mapping[str, npt.NDArray[Any]]:
        held = {name: array.copy() for name, array in self._had.items()}
        return {"chance": chance_of(self._rng), **held}

    def remember(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        self._rng = with_chance(memory)
        for name, held in self._had.items():
            if np.shape(memory.get(name, ())) != held.shape:
                raise ArtifactError(f"the memory of the bandit needs {name!r}, {held.shape}")
            self._had[name] = np.array(memory[name], float)
        if not 0 <= self._had["rule"][0] < self._ends[-1] - self._starts[-1]:
            raise ArtifactError("the memory of the bandit needs 'rule', an index")


class HierarchicalBandit(Agent):
    """Gamma-Poisson Thompson sampling, and a taste in seeds from the ancestry of bugs.

    Meta-training fuzzes programs with known bugs and follows each bug found back through the
    mutants it descends from: most new edges lead nowhere, those do. The *taste* is what the seeds
    mutated on the way were like, among those mutated at about the same time (``fit_taste``).

    Within a program the next seed is drawn to the taste, mostly; in a corpus larger than those of
    training, the less the larger it is: of such the taste knows nothing, and to mutate always the
    same few of many finds less in a large library. How a seed is mutated is for a
    bandit for each part of an action: a choice's yield, the share of rounds that kept a mutant in
    units of the program's share of late, is Gamma-distributed around that share, and its
    posterior is Gamma again (Thompson 1933; hierarchical form: Hong, Kveton, Zaheer, Ghavamzadeh,
    "Hierarchical Bayesian Bandits", AISTATS 2022). Departure: the level above choices is the
    program's own; one learned over programs was measured and harmed (docs/decisions/0010).
    Yields change while a program is fuzzed, so evidence fades (discounted Thompson sampling, Raj
    and Kalyani 2017).

    Args:
        keep: share of the evidence that a round leaves, 0 to 1.
        pace: how fast the program's share of late follows, 0 to 1.
        strength: rounds of average yield that every choice begins with.
        zeal: the taste's weights are multiplied by it: how seldom others are chosen.
        devotion: share of seeds chosen by taste, the others by a rule that is a bandit's; in a
            corpus twice as large as the largest of training, a quarter of it.
    """

    meta_trained: ClassVar[bool] = True

    def __init__(
        self,
        *,
        keep: float = 0.9995,
        pace: float = 0.02,
        strength: float = 50.0,
        zeal: float = 3.0,
        devotion: float = 0.95,
    ) -> None:
        self.keep = keep
        self.pace = pace
        self.strength = strength
        self.zeal = zeal
        self.devotion = devotion
        self.taste_ = np.zeros(0)
        self.seeds_ = 0.0

    def meta_fit(self, environments: Sequence[Environment], *, seed: int = 0) -> Self:
        """Fuzz every program at random; keep what the seeds that led to bugs had in common.

        A family of programs, those whose names agree up to the first hyphen, weighs as one.
        """
        if not environments:
            raise TaskError("meta-training needs at least one program")
        rng = np.random.default_rng(seed)
        families: dict[str, Log] = {}
        for environment in environments:
            family = environment.name.partition("-")[0]
            families.setdefault(family, Log()).fuzz(environment, rng)
        return self.fit_logs(list(families.values()))

    def fit_logs(self, logs: Sequence["Log"]) -> Self:
        """Learn from what was seen, a log for each family of programs. Return self."""
        self.taste_ = _taste(logs)
        self.seeds_ = float(max(np.mean(log.seeds) for log in logs))
        return self

    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return a sampler that knows what the training programs had in common."""
        if not len(self.taste_):
            raise TaskError("hierarchical_bandit needs meta_fit or load_state")
        if space.n_observed != len(OBSERVED):
            raise TaskError(f"hierarchical_bandit needs {len(OBSERVED)} numbers observed")
        return _Thompson(self, space, seed)

    def state(self) -> State:
        """Return the taste, and how many seeds a family of training programs had at most."""
        if not len(self.taste_):
            return {}
        return {"taste": self.taste_, "seeds": np.array([self.seeds_])}

    def load_state(self, state: State) -> Self:
        """Take the arrays of ``state``."""
        taste = np.asarray(state.get("taste", ()), float)
        if taste.shape != (len(SEED_SEEN),) or not np.isfinite(taste).all():
            raise ArtifactError(f"taste must be {len(SEED_SEEN)} finite numbers")
        seeds = np.asarray(state.get("seeds", ()), float)
        if seeds.shape != (1,) or not np.isfinite(seeds).all() or seeds[0] <= 0:
            raise ArtifactError("seeds must be one finite number above 0")
        self.taste_, self.seeds_ = taste, float(seeds[0])
        return self


@dataclass(slots=True)
class Log:
    """What trajectories on one family of programs say.

    Attributes:
        contests: seeds that led to bugs over others, as ``taste.contests`` returns them.
        seeds: how many there were in the end, of each trajectory.
    """

    contests: list[Floats] = field(default_factory=list)
    seeds: list[float] = field(default_factory=list)

    def add(self, log: "Log") -> None:
        """Take those of another log."""
        self.contests += log.contests
        self.seeds += log.seeds

    def fuzz(self, environment: Environment, rng: np.random.Generator) -> None:
        """Run one trajectory at random."""
        environment.taste = None
        sizes = np.array(environment.space.actions)
        environment.reset(seed=int(rng.integers(1 << 31)))
        done, index, seen, ends = False, 0, [], []
        while not done:
            at_random = Action(*(rng.random(4) * sizes).astype(int).tolist())
            seen.append(environment.seed_seen())
            step = environment.step(at_random)
            if step.lineage:
                ends.append((index, list(step.lineage)))
            done, index = step.done, index + 1
        self.seeds.append(seeds_of(step.observation))
        table = np.array(seen, float)
        for end, lineage in ends if table.shape[1] else ():
            self.contests += contests(table, lineage, end, rng)


def _taste(logs: Sequence[Log]) -> Floats:
    """Return the taste: zeros where no bug was found, or where there is nothing to see."""
    held = [one for log in logs for one in log.contests]
    if not held:
        return np.zeros(len(SEED_SEEN))
    weights = [1.0 / max(len(g.contests), _MANY_STEPS) for g in logs for _ in g.contests]
    return fit_taste(np.array(held), np.array(weights))
