"""The linear policy's step is the gradient it says it is, and is taken when it says."""

import numpy as np
import pytest

from inoculate.agent import Action, Space
from inoculate.errors import ArtifactError
from inoculate.fuzzing.policies.choices import Heads, Scale
from inoculate.fuzzing.policies.linear_policy import (
    LinearPolicy,
    LinearStart,
    advantages,
    policy_gradient,
)

SPACE = Space((3, 1, 2, 4), n_observed=5)
HEADS = Heads(SPACE.actions)


def start(*, window=4, step=None, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(6, HEADS.width)).astype(np.float32)
    steps = np.full((2, 4), 0.5, np.float32) if step is None else step
    scale = Scale(np.full(5, 0.5, np.float32), np.full(5, 2.0, np.float32))
    return LinearStart(weight, steps, scale, window)


def test_the_gradient_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    weight, x = rng.normal(size=(6, HEADS.width)), rng.normal(size=(7, 6))
    actions = np.stack([rng.integers(0, n, size=7) for n in SPACE.actions], axis=1)
    advantage = rng.normal(size=(7, 4))

    def gain(w):
        log_p = np.log(HEADS.probabilities(x @ w))
        chosen = np.take_along_axis(log_p, actions + HEADS.starts, axis=1)
        return (chosen * advantage).sum() / len(x)

    found = policy_gradient(weight, x, actions, advantage, HEADS)
    for at in np.ndindex(*weight.shape):
        nudge = np.zeros_like(weight)
        nudge[at] = 1e-6
        slope = (gain(weight + nudge) - gain(weight - nudge)) / 2e-6
        assert found[at] == pytest.approx(slope, abs=1e-8)


def test_advantages_by_hand():
    rewards = np.array([0.0, np.e - 1, 0.0, 0.0])
    spread = np.sqrt(3) / 4 + 0.1
    good, bad = 0.75 / spread, -0.25 / spread
    found = advantages(rewards)
    np.testing.assert_allclose(found[:, :3], np.repeat([[bad], [good], [bad], [bad]], 3, axis=1))
    np.testing.assert_allclose(found[:, 3], [good, bad, bad, 0], err_msg="the next one's reward")


def test_equal_or_absurd_rewards_move_little():
    np.testing.assert_array_equal(advantages(np.full(8, 0.25)), 0)
    odd = advantages(np.array([np.inf, np.nan, -np.inf, 1e300]))
    assert np.isfinite(odd).all() and np.abs(odd).max() < 3


def test_a_step_is_taken_after_each_window_and_is_the_one_by_hand():
    sizes = np.arange(8, dtype=np.float32).reshape(2, 4) / 10
    begin = start(window=3, step=sizes)
    policy = LinearPolicy(begin, SPACE, seed=1)
    rng = np.random.default_rng(2)
    seen = rng.random((3, 5)).astype(np.float32)
    rewards, actions = [0.0, 2.0, 1.0], []
    for observation, reward in zip(seen, rewards, strict=True):
        np.testing.assert_array_equal(policy.memory()["weight"], begin.weight)
        actions.append(policy.act(observation))
        policy.learn(actions[-1], reward)
    x = np.hstack([(seen - 0.5) * 2, np.ones((3, 1))])
    better = advantages(np.array(rewards))
    gradient = policy_gradient(begin.weight, x, np.array(actions), better, HEADS)
    by = np.vstack([np.repeat(sizes[1:], 5, axis=0), sizes[:1]])[:, HEADS.owner]
    np.testing.assert_allclose(
        policy.memory()["weight"], begin.weight + by * gradient, rtol=1e-5, atol=1e-6
    )


def test_two_policies_of_one_start_do_not_share_weights():
    begin = start(window=2)
    before = begin.weight.copy()
    policy = LinearPolicy(begin, SPACE, seed=1)
    for reward in (0.0, 9.0, 0.0, 9.0):
        policy.learn(policy.act(np.ones(5, np.float32)), reward)
    assert not np.array_equal(policy.memory()["weight"], before)
    np.testing.assert_array_equal(begin.weight, before)


def test_what_is_chosen_follows_the_weights():
    begin = start()
    begin.weight[:], begin.weight[-1, [2, 5, 9]] = 0.0, 30.0
    policy = LinearPolicy(begin, SPACE, seed=3)
    drawn = {policy.act(np.zeros(5, np.float32)) for _ in range(50)}
    assert drawn == {Action(2, 0, 1, 3)}


def test_a_memory_that_does_not_fit_is_refused_and_changes_nothing():
    policy = LinearPolicy(start(), SPACE, seed=4)
    memory = {**policy.memory(), "x": np.zeros((9, 9))}
    with pytest.raises(ArtifactError, match="'x'"):
        policy.remember({**memory, "weight": np.ones((6, HEADS.width))})
    np.testing.assert_array_equal(policy.memory()["weight"], start().weight)


def test_actions_of_a_forged_memory_stay_within_the_space():
    policy = LinearPolicy(start(window=2), SPACE, seed=5)
    forged = {**policy.memory(), "actions": np.full((2, 4), 10**6), "filled": np.array([-3])}
    policy.remember(forged)
    for _ in range(4):
        policy.learn(policy.act(np.zeros(5, np.float32)), 1.0)
    assert np.isfinite(policy.memory()["weight"]).all()
