"""The contract of agents as functions: what each of them has to hold.

Each check takes an agent, meta-trained where it needs to be, and raises ``AssertionError`` when
it breaks a promise. The package's own tests cross every agent with every check.

Example:
    >>> from inoculate.registry import AGENTS
    >>> for check in AGENT_CHECKS:
    ...     check(quick(AGENTS.load("uniform")))
"""

# ruff: noqa: S101

import random
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from inoculate.agent import Action, Agent, Environment, Policy, Step
from inoculate.errors import ArtifactError, TaskError
from inoculate.fuzzing.corpus import Corpus, Seed
from inoculate.fuzzing.history import ROUND, SPACE, History, Round
from inoculate.fuzzing.trajectories import Trajectory, collect
from inoculate.task import FloatArray

_LONG = 150
_QUICK = {"n_iterations": 2, "n_programs": 2, "n_trajectories": 1}


class ToyProgram(Environment):
    """A program in name only: each part of an action has one choice that finds most.

    It is seen through the same numbers as a real one.

    Args:
        seed: which choices find most; another seed is another program.
        steps: decisions of a trajectory.
    """

    space = SPACE

    def __init__(self, seed: int, *, steps: int = 40) -> None:
        self.name = f"toy {seed}"
        self.steps = steps
        self.best = np.random.default_rng(seed).integers(0, self.space.actions)

    def reset(self, *, seed: int) -> FloatArray:
        """Begin again."""
        self._rng = np.random.default_rng(seed)
        self._history = History()
        self._seed = Seed(b"toy program")
        self._corpus = Corpus(random.Random(seed))  # noqa: S311 - repeatable, not secret
        self._corpus.seeds.append(self._seed)
        return self._history.observe(self._seed, self._corpus, known=1)

    def step(self, action: Action) -> Step:
        """Find something, the more likely the more parts are the best ones."""
        right = int((self.best == np.array(action)).sum())
        gain = float(self._rng.random() < 0.1 + 0.2 * right)
        reward = self._history.note(action, Round(ROUND, gain))
        seen = self._history.observe(self._seed, self._corpus, known=1)
        return Step(seen, reward, self._history.executions >= self.steps * ROUND, ROUND)


def quick(agent: type[Agent]) -> Agent:
    """Return an agent meta-trained on a few toy programs as briefly as its arguments allow."""
    known = agent().hyperparameters()
    built = agent(**{name: value for name, value in _QUICK.items() if name in known})
    return built.meta_fit([ToyProgram(i) for i in range(3)], seed=0)


def check_adapt_is_pure(agent: Agent) -> None:
    """Neither adapting nor fuzzing changes the agent, nor one policy another."""
    before = {name: np.array(value) for name, value in agent.state().items()}
    first = _toy(agent, seed=5)
    after = agent.state()
    assert list(before) == list(after), "adapt changed the names of the state"
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])
    _assert_same(first, _toy(agent, seed=5))


def check_same_seed_same_actions(agent: Agent) -> None:
    """The same seed gives the same trajectory; another seed another one."""
    one = _toy(agent, seed=1)
    _assert_same(one, _toy(agent, seed=1))
    assert not np.array_equal(one.actions, _toy(agent, seed=2).actions), "the seed is ignored"


def check_actions_are_within_space(agent: Agent) -> None:
    """Every part of an action is an index into its choices."""
    policy = agent.adapt(SPACE, seed=3)
    rng = np.random.default_rng(3)
    for i in range(300):
        seen = rng.normal(scale=10.0 ** (i % 4), size=SPACE.n_observed).astype(np.float32)
        _assert_legal(action := policy.act(seen))
        policy.learn(action, float(rng.exponential()))


def check_memory_goes_on(agent: Agent) -> None:
    """A policy stopped at any decision goes on exactly as if it had not been."""
    for at in (0, 1, 37, _LONG - 20):
        environment = ToyProgram(9, steps=_LONG)
        policy = agent.adapt(SPACE, seed=4)
        seen = environment.reset(seed=4)
        for _ in range(at):
            seen = _one(policy, environment, seen)
        memory = {name: np.array(value) for name, value in policy.memory().items()}
        other = agent.adapt(SPACE, seed=99)
        other.remember(memory)
        for _ in range(_LONG - at):
            ours, theirs = policy.act(seen), other.act(seen)
            assert ours == theirs, f"after {at} decisions: {ours} became {theirs}"
            step = environment.step(ours)
            policy.learn(ours, step.reward)
            other.learn(ours, step.reward)
            seen = step.observation


def check_memory_is_not_shared(agent: Agent) -> None:
    """What ``memory`` returned before does not change while the policy goes on."""
    policy = agent.adapt(SPACE, seed=6)
    _run(policy, 30)
    memory = policy.memory()
    before = {name: np.array(value) for name, value in memory.items()}
    _run(policy, 80)
    for name, value in before.items():
        np.testing.assert_array_equal(value, memory[name])


def check_memory_refuses_what_does_not_fit(agent: Agent) -> None:
    """An array of a memory that is missing or has another shape is refused."""
    policy = agent.adapt(SPACE, seed=7)
    memory = dict(policy.memory())
    for name, value in memory.items():
        for bad in ({}, {name: np.zeros((*np.shape(value), 3))}):
            rest = {k: v for k, v in memory.items() if k != name}
            _assert_refused(partial(agent.adapt(SPACE).remember, {**rest, **bad}), name)


def check_odd_rewards_are_survived(agent: Agent) -> None:
    """Nothing but zeros, or enormous rewards, leave a policy that acts within its space."""
    for reward in (0.0, 1e30, 1e-30):
        policy = agent.adapt(SPACE, seed=8)
        for i in range(_LONG):
            seen = np.full(SPACE.n_observed, min(reward, 1e6), np.float32)
            _assert_legal(action := policy.act(seen))
            policy.learn(action, reward if i % 3 else 0.0)
        for name, value in policy.memory().items():
            assert np.isfinite(value).all(), f"{name} is not finite after rewards of {reward}"


def check_needs_meta_training(agent: Agent) -> None:
    """An agent that needs meta-training says so; one that does not adapts at once."""
    fresh = type(agent)(**agent.hyperparameters())
    if not agent.meta_trained:
        fresh.adapt(SPACE)
        return
    assert not fresh.state() or not any(np.size(v) for v in fresh.state().values())
    try:
        fresh.adapt(SPACE)
    except TaskError:
        return
    raise AssertionError("an untrained agent adapts")


def check_state_round_trips(agent: Agent) -> None:
    """``hyperparameters`` and ``state`` build an agent that acts the same."""
    state = {name: np.array(value) for name, value in agent.state().items()}
    again = type(agent)(**agent.hyperparameters()).load_state(state)
    assert set(again.state()) == set(state)
    for name, value in state.items():
        assert again.state()[name].dtype == value.dtype
        np.testing.assert_array_equal(value, again.state()[name])
    _assert_same(_toy(agent, seed=10), _toy(again, seed=10))


def check_state_refuses_what_does_not_fit(agent: Agent) -> None:
    """An array of a state that is missing, has another shape or is not finite is refused."""
    state = dict(agent.state())
    for name, value in state.items():
        rest = {k: v for k, v in state.items() if k != name}
        for bad in ({}, {name: np.zeros((*np.shape(value), 3))}, {name: _unknown(value)}):
            fresh = type(agent)(**agent.hyperparameters())
            _assert_refused(partial(fresh.load_state, {**rest, **bad}), name)


def _unknown(value: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.full(np.shape(value), np.nan)


def _assert_refused(call: Callable[[], object], name: str) -> None:
    try:
        call()
    except ArtifactError:
        return
    raise AssertionError(f"{name!r} that does not fit is taken")


def _assert_legal(action: Action) -> None:
    for chosen, n in zip(action, SPACE.actions, strict=True):
        assert isinstance(chosen, int) and 0 <= chosen < n, f"{action} is not in {SPACE.actions}"


def _assert_same(one: Trajectory, other: Trajectory) -> None:
    np.testing.assert_array_equal(one.actions, other.actions)
    np.testing.assert_array_equal(one.rewards, other.rewards)


def _toy(agent: Agent, *, seed: int) -> Trajectory:
    return collect(agent.adapt(SPACE, seed=seed), ToyProgram(11, steps=_LONG), seed=12)


def _one(policy: Policy, environment: Environment, seen: FloatArray) -> FloatArray:
    action = policy.act(seen)
    step = environment.step(action)
    policy.learn(action, step.reward)
    return step.observation


def _run(policy: Policy, n: int) -> None:
    collect(policy, ToyProgram(13, steps=n), seed=14)


AGENT_CHECKS: tuple[Callable[[Agent], None], ...] = (
    check_adapt_is_pure,
    check_same_seed_same_actions,
    check_actions_are_within_space,
    check_memory_goes_on,
    check_memory_is_not_shared,
    check_memory_refuses_what_does_not_fit,
    check_odd_rewards_are_survived,
    check_needs_meta_training,
    check_state_round_trips,
    check_state_refuses_what_does_not_fit,
)
