"""The checks themselves: each must catch an agent that breaks its promise."""

import numpy as np
import pytest

from inoculate import agent_checks
from inoculate.agent import Action
from inoculate.agent_checks import ToyProgram, quick
from inoculate.agents.scratch_policy import ScratchPolicy
from inoculate.fuzzing.policies.linear_policy import LinearPolicy


def broken(**changes):
    """An agent whose policies have some of their methods replaced."""

    class Changed(LinearPolicy):
        pass

    for name, change in changes.items():
        setattr(Changed, name, change)

    class Broken(ScratchPolicy):
        def adapt(self, space, *, seed=0):
            policy = super().adapt(space, seed=seed)
            policy.__class__ = Changed
            return policy

    return Broken(window=16)


def beyond(self, observation):
    action = LinearPolicy.act(self, observation)
    return action._replace(region=action.region + 1)


def as_numpy(self, observation):
    return Action(*np.array(LinearPolicy.act(self, observation)))


def forgetful(self):
    return {
        k: np.zeros_like(v) if k == "weight" else v for k, v in LinearPolicy.memory(self).items()
    }


def live(self):
    return {**LinearPolicy.memory(self), "rewards": self._rewards}


def trusting(self, memory):
    LinearPolicy.remember(self, {**LinearPolicy.memory(self), **memory})


def exploding(self, action, reward):
    LinearPolicy.learn(self, action, reward)
    self._weight = self._weight + np.float32(min(reward, 1e30)) * np.float32(1e30)


class Seedless(ScratchPolicy):
    def adapt(self, space, *, seed=0):
        return super().adapt(space, seed=0)


class Random(ScratchPolicy):
    def adapt(self, space, *, seed=0):
        return super().adapt(space, seed=np.random.default_rng().integers(1 << 30))


class Learning(ScratchPolicy):
    """Adapting changes the agent, and it takes any state."""

    count = 0.0

    def adapt(self, space, *, seed=0):
        self.count += 1.0
        return super().adapt(space, seed=seed)

    def state(self):
        return {"count": np.array([self.count])}

    def load_state(self, state):
        self.count = float(np.sum(state.get("count", 0)))
        return self


class Liar(ScratchPolicy):
    meta_trained = True


class Losing(ScratchPolicy):
    """Has a hyperparameter that its state forgets."""

    def __init__(self, *, window=16, rate=5.0):
        super().__init__(window=window, rate=rate)

    def hyperparameters(self):
        return {"window": 8}


@pytest.mark.parametrize(
    ("check", "agent"),
    [
        ("adapt_is_pure", Learning()),
        ("adapt_is_pure", Random()),
        ("same_seed_same_actions", Seedless()),
        ("same_seed_same_actions", Random()),
        ("actions_are_within_space", broken(act=beyond)),
        ("actions_are_within_space", broken(act=as_numpy)),
        ("memory_goes_on", broken(memory=forgetful)),
        ("memory_is_not_shared", broken(memory=live)),
        ("memory_refuses_what_does_not_fit", broken(remember=trusting)),
        ("odd_rewards_are_survived", broken(learn=exploding)),
        ("needs_meta_training", Liar()),
        ("state_round_trips", Losing()),
        ("state_refuses_what_does_not_fit", Learning()),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_a_broken_promise_is_caught(check, agent):
    with pytest.raises(AssertionError):
        getattr(agent_checks, f"check_{check}")(agent)


def test_every_check_has_an_agent_that_breaks_it_and_one_that_does_not():
    assert len(agent_checks.AGENT_CHECKS) == 10
    for check in agent_checks.AGENT_CHECKS:
        check(ScratchPolicy(window=16))


def test_quick_meta_training_is_as_brief_as_it_can_be():
    from inoculate.agents.rl_squared import RlSquared

    assert len(quick(RlSquared).curve) == 2


def test_a_toy_program_has_one_best_choice_of_each_part_and_repeats():
    program = ToyProgram(3, steps=200)

    def total(action):
        program.reset(seed=1)
        return sum(program.step(Action(*action)).reward > 0 for _ in range(200))

    best = program.best.tolist()
    worst = [(b + 1) % n for b, n in zip(best, program.space.actions, strict=True)]
    assert total(best) == total(best) > 150 > 60 > total(worst)
    assert ToyProgram(4).best.tolist() != best
