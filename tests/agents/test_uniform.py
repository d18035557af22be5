"""Every choice equally often, whatever came of it."""

from collections import Counter

import numpy as np

from inoculate.agents.uniform import Uniform
from inoculate.fuzzing.history import SPACE


def test_every_choice_is_equally_likely_and_rewards_do_not_matter():
    policy = Uniform().adapt(SPACE, seed=0)
    seen = np.zeros(SPACE.n_observed, np.float32)
    counts = [Counter(), Counter(), Counter(), Counter()]
    for _ in range(6_000):
        action = policy.act(seen)
        policy.learn(action, 100.0 if action.operator == 3 else 0.0)
        for count, chosen in zip(counts, action, strict=True):
            count[chosen] += 1
    for count, n in zip(counts, SPACE.actions, strict=True):
        assert set(count) == set(range(n))
        assert max(abs(c / 6_000 - 1 / n) for c in count.values()) < 0.03
