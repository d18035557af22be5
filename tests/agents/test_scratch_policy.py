"""Reinforcement learning from nothing: it begins at random and learns, slowly."""

import numpy as np

from inoculate.agents.scratch_policy import ScratchPolicy
from inoculate.fuzzing.trajectories import collect
from tests.agents.arms import N_ARMS, SPACE, family


def test_its_first_window_is_uniform():
    actions = [
        collect(ScratchPolicy().adapt(SPACE, seed=i), family(steps=64)[0], seed=i).actions[:, 0]
        for i in range(40)
    ]
    share = np.bincount(np.concatenate(actions), minlength=N_ARMS) / (40 * 64)
    np.testing.assert_allclose(share, 1 / N_ARMS, atol=0.03)


def test_it_comes_to_prefer_what_finds_something():
    agent = ScratchPolicy(window=16, rate=2.0)
    late = []
    for i in range(20):
        run = collect(agent.adapt(SPACE, seed=i), family(steps=400)[i % N_ARMS], seed=i)
        late.append((run.actions[-100:, 0] == i % N_ARMS).mean())
    assert np.mean(late) > 0.6
