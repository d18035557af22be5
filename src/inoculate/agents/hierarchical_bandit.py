"""Thompson sampling whose prior over choices was learned on other programs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from inoculate.agent import Action, Agent, Environment, Policy, Space
from inoculate.errors import ArtifactError, TaskError
from inoculate.fuzzing.chance import chance_of, with_chance
from inoculate.fuzzing.history import OBSERVED
from inoculate.fuzzing.operators import INTENSITIES
from inoculate.learner import State
from inoculate.task import FloatArray

_TEXT = OBSERVED.index("seed's text")
_SINCE = OBSERVED.index("since the last new edge")
_CHOSEN = OBSERVED.index("seed's times chosen")
_MOSTLY_TEXT = 0.9
_STALE = math.log10(500) / 5
_CONTEXTS = 8
_FLOOR = 0.02
_START = 0.5

Floats = npt.NDArray[np.float64]


def _context(seen: FloatArray) -> int:
    """Return which of eight: a seed of text or not, new or not, finds lately or not."""
    if len(seen) != len(OBSERVED):
        return 0
    text = seen[_TEXT] >= _MOSTLY_TEXT
    return int(text) + 2 * int(seen[_CHOSEN] == 0.0) + 4 * int(seen[_SINCE] > _STALE)


class _Thompson(Policy):
    """Arms of mutation (contexts, n) and of seeds (contexts, m), each with gains and exposure."""

    def __init__(self, agent: "HierarchicalBandit", space: Space, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._actions = space.actions
        self._keep = agent.keep
        self._pace = agent.pace
        self._share = agent.share
        self._rate = agent.strength
        self._shape_of = agent.prior_ * agent.strength
        self._seed_shape_of = agent.seed_prior_ * agent.strength
        n, m = agent.prior_.shape[1], agent.seed_prior_.shape[1]
        self._had = {
            "gain": np.zeros((_CONTEXTS, n)),
            "exposure": np.zeros((_CONTEXTS, n)),
            "seed_gain": np.zeros((_CONTEXTS, m)),
            "seed_exposure": np.zeros((_CONTEXTS, m)),
            "mean": np.array([_START]),
            "now": np.zeros(4),
        }

    def act(self, observation: FloatArray) -> Action:
        context = _context(observation)
        had = self._had
        arm = self._draw(context, self._shape_of, had["gain"], had["exposure"])
        rule = self._draw(context, self._seed_shape_of, had["seed_gain"], had["seed_exposure"])
        _, intensities, regions, _ = self._actions
        had["now"] = np.array([context, rule, *had["now"][:2]])
        return Action(
            arm // (intensities * regions), arm // regions % intensities, arm % regions, rule
        )

    def _draw(self, context: int, shape: Floats, gain: Floats, exposure: Floats) -> int:
        """Draw each arm's yield from its Gamma posterior; return the best."""
        shared_gain = gain[context] + self._share * gain.sum(axis=0)
        shared_exposure = exposure[context] + self._share * exposure.sum(axis=0)
        drawn = self._rng.standard_gamma(shape[context] + shared_gain)
        return int((drawn / (self._rate + shared_exposure)).argmax())

    def learn(self, action: Action, reward: float) -> None:
        had = self._had
        # the seed mutated now was chosen by the action before
        context, _, context_before, rule_before = had["now"].astype(int).tolist()
        mean = max(float(had["mean"][0]), _FLOOR)
        _, intensities, regions, _ = self._actions
        arm = (action.operator * intensities + action.intensity) * regions + action.region
        worth = math.log1p(reward)
        for gain, exposure, chosen in (
            (had["gain"], had["exposure"], (context, arm)),
            (had["seed_gain"], had["seed_exposure"], (context_before, rule_before)),
        ):
            gain *= self._keep
            exposure *= self._keep
            gain[chosen] += worth
            exposure[chosen] += mean
        had["mean"][0] += self._pace * (worth - had["mean"][0])

    def memory(self) -> Mapping[str, npt.NDArray[Any]]:
        held = {name: array.copy() for name, array in self._had.items()}
        return {"chance": chance_of(self._rng), **held}

    def remember(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        self._rng = with_chance(memory)
        for name, held in self._had.items():
            if np.shape(memory.get(name, ())) != held.shape:
                raise ArtifactError(f"the memory of the bandit needs {name!r}, {held.shape}")
            self._had[name] = np.array(memory[name], float)
        most = (_CONTEXTS, self._actions[3]) * 2
        if not all(0 <= int(n) < top for n, top in zip(self._had["now"], most, strict=True)):
            raise ArtifactError("the memory of the bandit needs 'now': two contexts, two rules")


class HierarchicalBandit(Agent):
    """Gamma-Poisson Thompson sampling with a prior learned from the ancestry of bugs.

    An arm is a family of operators, an intensity and a region together; a second bandit chooses
    among the rules of seeds. Meta-training fuzzes programs with known bugs, follows each bug
    found back through the mutants it descends from, and counts which arms made them: most new
    edges lead nowhere, those do. Within a program an arm's yield is Gamma-distributed around
    that prior, in units of the program's mean of late, and its posterior is Gamma again
    (Thompson 1933; hierarchical form: Hong, Kveton, Zaheer, Ghavamzadeh, "Hierarchical Bayesian
    Bandits", AISTATS 2022). Yields change while a program is fuzzed, so evidence fades
    (discounted Thompson sampling, Raj and Kalyani 2017).

    Args:
        keep: share of the evidence that a round leaves, 0 to 1.
        pace: how fast the program's mean follows, 0 to 1.
        share: weight of other contexts' evidence.
        strength: rounds of average yield that the prior counts for.
        shrink: expected steps to a bug at which a finer prior counts half, see ``_prior``.
        sweeps: times the training programs are fuzzed, first at random, then by the prior so far.
        dear: what one stacked operator costs, in executions.
    """

    meta_trained: ClassVar[bool] = True

    def __init__(
        self,
        *,
        keep: float = 0.9995,
        pace: float = 0.02,
        share: float = 0.25,
        strength: float = 15.0,
        shrink: float = 5.0,
        sweeps: int = 2,
        dear: float = 0.05,
    ) -> None:
        self.keep = keep
        self.pace = pace
        self.share = share
        self.strength = strength
        self.shrink = shrink
        self.sweeps = sweeps
        self.dear = dear
        self.prior_ = self.seed_prior_ = np.zeros((0, 0))

    def meta_fit(self, environments: Sequence[Environment], *, seed: int = 0) -> Self:
        """Fuzz every program; keep what the steps that led to bugs had in common."""
        if not environments:
            raise TaskError("meta-training needs at least one program")
        space = environments[0].space
        rng, log = np.random.default_rng(seed), _Log(space, self.dear)
        operators, intensities, regions, rules = space.actions
        for sweep in range(self.sweeps):
            for environment in environments:
                policy = self.adapt(space, seed=int(rng.integers(1 << 31))) if sweep else None
                log.fuzz(environment, policy, rng)
            grid = (operators, intensities, regions)
            self.prior_ = _prior(log.led, log.tried, grid, self.shrink)
            self.seed_prior_ = _prior(log.seed_led, log.seed_tried, (rules,), self.shrink)
        return self

    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return a sampler that knows what the training programs had in common."""
        operators, intensities, regions, rules = space.actions
        wanted = ((_CONTEXTS, operators * intensities * regions), (_CONTEXTS, rules))
        if (self.prior_.shape, self.seed_prior_.shape) != wanted:
            raise TaskError("hierarchical_bandit needs meta_fit or load_state for these actions")
        return _Thompson(self, space, seed)

    def state(self) -> State:
        """Return the relative yields expected of arms and of rules of seeds."""
        return {"prior": self.prior_, "seed_prior": self.seed_prior_}

    def load_state(self, state: State) -> Self:
        """Take the arrays of ``state``."""
        held = {name: np.asarray(state.get(name, ()), float) for name in self.state()}
        for name, prior in held.items():
            if prior.ndim != 2 or len(prior) != _CONTEXTS or not (prior > 0).all():
                raise ArtifactError(f"{name} must be {_CONTEXTS} rows of positive numbers")
            if not np.isfinite(prior).all():
                raise ArtifactError(f"{name} must be finite")
        self.prior_, self.seed_prior_ = held["prior"], held["seed_prior"]
        return self


class _Log:
    """What trajectories on one program say of the arms: how often each led to a bug."""

    def __init__(self, space: Space, dear: float) -> None:
        self._dear = dear
        operators, self._intensities, self._regions, rules = space.actions
        n = operators * self._intensities * self._regions
        self.led, self.tried = np.zeros((2, _CONTEXTS, n))
        self.seed_led, self.seed_tried = np.zeros((2, _CONTEXTS, rules))
        self._most = np.array(space.actions)

    def fuzz(
        self, environment: Environment, policy: Policy | None, rng: np.random.Generator
    ) -> None:
        """Run one trajectory, at random where there is no policy."""
        seen = environment.reset(seed=int(rng.integers(1 << 31)))
        done, chosen = False, (0, 0)
        arms, rules = [], []
        while not done:
            at_random = Action(*(rng.random(4) * self._most).astype(int).tolist())
            action = policy.act(seen) if policy else at_random
            step = environment.step(action)
            arm = action.operator * self._intensities + action.intensity
            arms.append((_context(seen), arm * self._regions + action.region))
            rules.append(chosen)  # the seed mutated now was chosen by the action before
            cost = 1.0 + self._dear * INTENSITIES[min(action.intensity, len(INTENSITIES) - 1)]
            self.tried[arms[-1]] += cost
            self.seed_tried[chosen] += cost
            for ancestor in step.lineage:
                self.led[arms[ancestor]] += 1.0
                self.seed_led[rules[ancestor]] += 1.0
            if policy:
                policy.learn(action, step.reward)
            seen, done, chosen = step.observation, step.done, (_context(seen), action.seed)


def _prior(led: Floats, tried: Floats, grid: tuple[int, ...], shrink: float) -> Floats:
    """Return how much oftener than the average each arm led to a bug, (contexts, n), mean about 1.

    Gamma-Poisson means, from the whole to the part: each part of an arm (family, intensity,
    region) against the average, the arm against the product of its parts, the arm in a context
    against the arm. Where little was seen the coarser one stands.

    Args:
        led: (contexts, n) steps that led to a bug.
        tried: (contexts, n) steps.
        grid: how n is made up of parts.
        shrink: expected steps to a bug at which a finer mean counts half.
    """
    all_led, all_tried = led.sum(axis=0).reshape(grid), tried.sum(axis=0).reshape(grid)
    average = max(all_led.sum(), 1.0) / max(all_tried.sum(), 1.0)
    product = np.ones(grid)
    for axis in range(len(grid)):
        others = tuple(i for i in range(len(grid)) if i != axis)
        part_led = all_led.sum(axis=others, keepdims=True)
        expected = average * all_tried.sum(axis=others, keepdims=True)
        product = product * (part_led + shrink) / (expected + shrink)
    arms = ((all_led + shrink * product) / (average * all_tried + shrink)).ravel()
    of_context = led.sum(axis=1, keepdims=True) + shrink
    rate = of_context / (tried.sum(axis=1, keepdims=True) + shrink / average)
    return np.asarray((led + shrink * arms) / (rate * tried + shrink))
