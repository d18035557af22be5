"""What is kept of a run of a policy on a program."""

import numpy as np
import pytest

from inoculate.agent import Action, Environment, Policy, Space, Step
from inoculate.fuzzing.trajectories import collect


class Counting(Environment):
    space = Space((5, 5, 5, 5), n_observed=1)
    name = "counting"

    def __init__(self, length, bug_at=()):
        self.length, self.bug_at = length, bug_at

    def reset(self, *, seed):
        self.at = 0
        return np.array([seed], np.float32)

    def step(self, action):
        self.at += 1
        bug = 7 if self.at in self.bug_at else -1
        seen = np.array([self.at], np.float32)
        return Step(seen, self.at / 2, self.at == self.length, 16, bug)


class Echo(Policy):
    """Does what it saw last, and notes what it was told."""

    def __init__(self):
        self.told = []

    def act(self, observation):
        return Action(*[int(observation[0]) % 5] * 4)

    def learn(self, action, reward):
        self.told.append((action.operator, reward))

    def memory(self):
        return {}

    def remember(self, memory):
        pass


def test_a_trajectory_by_hand():
    policy = Echo()
    run = collect(policy, Counting(3, bug_at=(2, 3)), seed=4)
    assert run.program == "counting" and len(run) == 3
    np.testing.assert_array_equal(run.observations, [[4], [1], [2], [3]])
    np.testing.assert_array_equal(run.actions, [[4] * 4, [1] * 4, [2] * 4])
    np.testing.assert_array_equal(run.rewards, np.array([0.5, 1, 1.5], np.float32))
    np.testing.assert_array_equal(run.executions, [16, 32, 48])
    assert run.total == 3.0 and run.bug_after == 32
    assert policy.told == [(4, 0.5), (1, 1.0), (2, 1.5)]


@pytest.mark.parametrize("most", [1, 5])
def test_a_program_without_an_end_is_left(most):
    run = collect(Echo(), Counting(0), seed=0, most=most)
    assert len(run) == most and run.bug_after == -1
