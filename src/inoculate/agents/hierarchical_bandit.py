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
from inoculate.learner import State
from inoculate.task import FloatArray

_TEXT = OBSERVED.index("seed's text")
_SINCE = OBSERVED.index("since the last find")
_CHOSEN = OBSERVED.index("seed's times chosen")
_MOSTLY_TEXT = 0.9
_STALE = math.log10(2_000) / 5
_CONTEXTS = 8
_FLOOR = 0.02
_START = 0.5

Floats = npt.NDArray[np.float64]


def _context(seen: FloatArray) -> int:
    """Return which of eight: a seed of text or not, new or not, finds lately or not."""
    text = seen[_TEXT] >= _MOSTLY_TEXT
    return int(text) + 2 * int(seen[_CHOSEN] == 0.0) + 4 * int(seen[_SINCE] > _STALE)


class _Thompson(Policy):
    """Arms of mutation (contexts, n) and of seeds (contexts, m), each with gains and exposure."""

    def __init__(self, agent: "HierarchicalBandit", space: Space, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._shape = space.actions
        self._keep = agent.keep
        self._pace = agent.pace
        self._share = agent.share
        self._prior = (agent.shape_, agent.rate_)
        self._seed_prior = (agent.seed_shape_, agent.seed_rate_)
        n, m = agent.rate_.shape[1], agent.seed_rate_.shape[1]
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
        arm = self._draw(context, *self._prior, had["gain"], had["exposure"])
        rule = self._draw(context, *self._seed_prior, had["seed_gain"], had["seed_exposure"])
        _, intensities, regions, _ = self._shape
        had["now"] = np.array([context, rule, *had["now"][:2]])
        return Action(
            arm // (intensities * regions), arm // regions % intensities, arm % regions, rule
        )

    def _draw(
        self, context: int, shape: Floats, rate: Floats, gain: Floats, exposure: Floats
    ) -> int:
        """Draw each arm's yield from its Gamma posterior; return the best."""
        shared_gain = gain[context] + self._share * gain.sum(axis=0)
        shared_exposure = exposure[context] + self._share * exposure.sum(axis=0)
        drawn = self._rng.standard_gamma(shape[context] + shared_gain)
        return int((drawn / (rate[context] + shared_exposure)).argmax())

    def learn(self, action: Action, reward: float) -> None:
        had = self._had
        # the seed mutated now was chosen by the action before
        context, _, context_before, rule_before = had["now"].astype(int).tolist()
        mean = max(float(had["mean"][0]), _FLOOR)
        _, intensities, regions, _ = self._shape
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
        return {"chance": chance_of(self._rng), **self._had}

    def remember(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        self._rng = with_chance(memory)
        for name, held in self._had.items():
            if np.shape(memory.get(name, ())) != held.shape:
                raise ArtifactError(f"the memory of the bandit needs {name!r}, {held.shape}")
            self._had[name] = np.array(memory[name], float)
        most = (_CONTEXTS, self._shape[3]) * 2
        if not all(0 <= int(n) < top for n, top in zip(self._had["now"], most, strict=True)):
            raise ArtifactError("the memory of the bandit needs 'now': two contexts, two rules")


class HierarchicalBandit(Agent):
    """Gamma-Poisson Thompson sampling with an empirical-Bayes prior.

    An arm is a family of operators, an intensity and a region together, a second bandit chooses
    among the rules of seeds. The yield of an arm, relative to the program's own mean of late, is
    Gamma-distributed over programs; its posterior within a program is Gamma again (Robbins 1956;
    Thompson 1933; the hierarchical form is Hong et al. 2022, "Hierarchical Bayesian Bandits").
    Yields change while a program is fuzzed, so evidence fades (discounted Thompson sampling,
    Raj and Kalyani 2017).

    Args:
        keep: share of the evidence that a round leaves, 0 to 1.
        pace: how fast the program's mean follows, 0 to 1.
        share: weight of other contexts' evidence.
        strength: most pseudo-rounds the prior counts for.
        shrink: rounds at which an arm's own prior counts as much as its parts'.
        sweeps: times the training programs are fuzzed, first at random, then by the prior so far.
    """

    meta_trained: ClassVar[bool] = True

    def __init__(
        self,
        *,
        keep: float = 0.998,
        pace: float = 0.02,
        share: float = 0.25,
        strength: float = 20.0,
        shrink: float = 50.0,
        sweeps: int = 2,
    ) -> None:
        self.keep = keep
        self.pace = pace
        self.share = share
        self.strength = strength
        self.shrink = shrink
        self.sweeps = sweeps
        self.shape_ = self.rate_ = self.seed_shape_ = self.seed_rate_ = np.zeros((0, 0))

    def meta_fit(self, environments: Sequence[Environment], *, seed: int = 0) -> Self:
        """Fuzz every program, then estimate how the yields of arms differ between programs."""
        if not environments:
            raise TaskError("meta-training needs at least one program")
        space = environments[0].space
        rng = np.random.default_rng(seed)
        logs: list[_Log] = []
        for sweep in range(self.sweeps):
            for environment in environments:
                log = _Log(space, self.pace)
                policy = self.adapt(space, seed=int(rng.integers(1 << 31))) if sweep else None
                log.fuzz(environment, policy, rng)
                logs.append(log)
            self._estimate(logs, space)
        return self

    def _estimate(self, logs: Sequence["_Log"], space: Space) -> None:
        operators, intensities, regions, rules = space.actions
        gain = np.stack([log.gain for log in logs])
        exposure = np.stack([log.exposure for log in logs])
        grid = (operators, intensities, regions)
        self.shape_, self.rate_ = _empirical_bayes(
            gain, exposure, grid, shrink=self.shrink, strength=self.strength
        )
        self.seed_shape_, self.seed_rate_ = _empirical_bayes(
            np.stack([log.seed_gain for log in logs]),
            np.stack([log.seed_exposure for log in logs]),
            (rules,),
            shrink=self.shrink,
            strength=self.strength,
        )

    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return a sampler that knows what the training programs had in common."""
        operators, intensities, regions, rules = space.actions
        wanted = ((_CONTEXTS, operators * intensities * regions), (_CONTEXTS, rules))
        if (self.rate_.shape, self.seed_rate_.shape) != wanted:
            raise TaskError("hierarchical_bandit needs meta_fit or load_state for these actions")
        return _Thompson(self, space, seed)

    def state(self) -> State:
        """Return the four arrays of the two priors."""
        return {
            "shape": self.shape_,
            "rate": self.rate_,
            "seed_shape": self.seed_shape_,
            "seed_rate": self.seed_rate_,
        }

    def load_state(self, state: State) -> Self:
        """Take the arrays of ``state``."""
        held = {name: np.asarray(state.get(name, ()), float) for name in self.state()}
        for one, two in (("shape", "rate"), ("seed_shape", "seed_rate")):
            fits = held[one].ndim == 2 and held[one].shape == held[two].shape
            if not (fits and held[one].shape[0] == _CONTEXTS):
                raise ArtifactError(f"{one} and {two} must be of {_CONTEXTS} contexts each")
            if not (np.isfinite(held[one]).all() and (held[one] > 0).all()):
                raise ArtifactError(f"{one} must be finite and positive")
            if not (np.isfinite(held[two]).all() and (held[two] > 0).all()):
                raise ArtifactError(f"{two} must be finite and positive")
        self.shape_, self.rate_ = held["shape"], held["rate"]
        self.seed_shape_, self.seed_rate_ = held["seed_shape"], held["seed_rate"]
        return self


class _Log:
    """What one trajectory says of the arms: gains, and the program's mean while each was tried."""

    def __init__(self, space: Space, pace: float) -> None:
        operators, self._intensities, self._regions, rules = space.actions
        n = operators * self._intensities * self._regions
        self.gain, self.exposure = np.zeros((2, _CONTEXTS, n))
        self.seed_gain, self.seed_exposure = np.zeros((2, _CONTEXTS, rules))
        self._most = np.array(space.actions)
        self._pace = pace

    def fuzz(
        self, environment: Environment, policy: Policy | None, rng: np.random.Generator
    ) -> None:
        """Run one trajectory, at random where there is no policy."""
        seen = environment.reset(seed=int(rng.integers(1 << 31)))
        mean, done, rule, before = _START, False, 0, 0
        while not done:
            at_random = Action(*(rng.random(4) * self._most).astype(int).tolist())
            action = policy.act(seen) if policy else at_random
            step = environment.step(action)
            context, worth = _context(seen), math.log1p(step.reward)
            arm = action.operator * self._intensities + action.intensity
            arm = arm * self._regions + action.region
            self.gain[context, arm] += worth
            self.exposure[context, arm] += max(mean, _FLOOR)
            # the seed mutated now was chosen by the action before
            self.seed_gain[before, rule] += worth
            self.seed_exposure[before, rule] += max(mean, _FLOOR)
            mean += self._pace * (worth - mean)
            if policy:
                policy.learn(action, step.reward)
            seen, done, rule, before = step.observation, step.done, action.seed, context


def _empirical_bayes(
    gain: Floats, exposure: Floats, grid: tuple[int, ...], *, shrink: float, strength: float
) -> tuple[Floats, Floats]:
    """Return shape and rate of each arm's Gamma prior, (contexts, n) both.

    Means are pooled over programs and shrunk towards the product of the parts' means; the rate,
    one for all arms, is the one of a grid that makes the logs most likely (negative binomial).

    Args:
        gain: (programs, contexts, n).
        exposure: likewise.
        grid: how n is made up of parts.
        shrink: exposure at which an arm's own mean counts half.
        strength: the highest rate allowed.
    """
    made, tried = gain.sum(axis=0), exposure.sum(axis=0)
    mean = np.stack([_shrunk(g, e, grid, shrink) for g, e in zip(made, tried, strict=True)])
    rates = strength * 2.0 ** -np.arange(0, 8)
    best = max(rates, key=lambda rate: _log_likelihood(gain, exposure, mean, float(rate)))
    return mean * best, np.full_like(mean, best)


def _shrunk(gain: Floats, exposure: Floats, grid: tuple[int, ...], shrink: float) -> Floats:
    g, e = gain.reshape(grid), exposure.reshape(grid)
    overall = (g.sum() + shrink * _FLOOR) / (e.sum() + shrink)
    product = np.full(grid, overall)
    for axis in range(len(grid)) if len(grid) > 1 else ():
        others = tuple(i for i in range(len(grid)) if i != axis)
        part = (g.sum(axis=others, keepdims=True) + shrink * overall) / (
            e.sum(axis=others, keepdims=True) + shrink
        )
        product = product * part / overall
    return np.asarray((g + shrink * product) / (e + shrink)).ravel()


def _log_likelihood(gain: Floats, exposure: Floats, mean: Floats, rate: float) -> float:
    """Sum of log NB(gain | shape mean * rate, exposure), less what does not depend on the rate."""
    shape = mean * rate
    log_gamma = np.vectorize(math.lgamma, otypes=[float])
    tried = exposure > 0
    shapes = np.broadcast_to(shape, gain.shape)[tried]
    gains, exposures = gain[tried], exposure[tried]
    terms = (
        log_gamma(shapes + gains) - log_gamma(shapes) + shapes * np.log(rate / (rate + exposures))
    )
    return float((terms - gains * np.log(rate + exposures)).sum())
