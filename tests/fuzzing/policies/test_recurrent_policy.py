"""The recurrent policy in numpy: by hand, frozen, and what it remembers."""

import numpy as np
import pytest

from inoculate.agent import Space
from inoculate.errors import ArtifactError
from inoculate.fuzzing.policies.recurrent_policy import RecurrentPolicy, shapes_of

SPACE = Space((3, 2, 1, 2), n_observed=4)


def arrays(*, n_hidden=1, seed=0, size=0.7):
    rng = np.random.default_rng(seed)
    shapes = shapes_of(SPACE, n_hidden)
    return {k: (size * rng.normal(size=s)).astype(np.float32) for k, s in shapes.items()}


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def test_two_decisions_by_hand():
    a = arrays()
    policy = RecurrentPolicy(a, SPACE, seed=0)
    h = 0.0
    for seen in np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32):
        x = ((seen - a["shift"]) * a["stretch"]).clip(-5, 5)
        now, before = x @ a["w_in"] + a["b_in"], h * a["w_hidden"][0] + a["b_hidden"]
        reset, update = sigmoid(now[:2] + before[:2])
        h = (1 - update) * np.tanh(now[2] + reset * before[2]) + update * h
        expected = np.concatenate([[h], x]) @ a["w_out"] + a["b_out"]
        np.testing.assert_allclose(policy.logits(seen), expected, rtol=1e-4, atol=1e-5)
    assert policy.state[0] == pytest.approx(h, abs=1e-5)


def test_frozen_it_says_the_same_of_the_same_whatever_came_before():
    seen = np.random.default_rng(2).normal(size=(6, 4)).astype(np.float32)
    frozen = RecurrentPolicy(arrays(n_hidden=5), SPACE, seed=0, frozen=True)
    moving = RecurrentPolicy(arrays(n_hidden=5), SPACE, seed=0)
    first = frozen.logits(seen[0]).copy(), moving.logits(seen[0]).copy()
    for observation in seen:
        frozen.logits(observation), moving.logits(observation)
    np.testing.assert_array_equal(frozen.logits(seen[0]), first[0])
    assert not np.allclose(moving.logits(seen[0]), first[1], atol=1e-3)


def test_absurd_weights_neither_warn_nor_leave_the_space():
    policy = RecurrentPolicy(arrays(n_hidden=3, size=1e4), SPACE, seed=3)
    for value in (1e30, -1e30, 0.0):
        action = policy.act(np.full(4, value, np.float32))
        assert all(0 <= a < n for a, n in zip(action, SPACE.actions, strict=True))


def test_a_state_of_another_size_is_refused():
    policy = RecurrentPolicy(arrays(n_hidden=3), SPACE, seed=4)
    other = RecurrentPolicy(arrays(n_hidden=2), SPACE, seed=4)
    with pytest.raises(ArtifactError, match="'state'"):
        policy.remember(other.memory())
