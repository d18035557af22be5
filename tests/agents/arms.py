"""A family of programs in name only: one of three operators finds something, another in each."""

import numpy as np

from inoculate.agent import Environment, Space, Step

N_ARMS = 3
SPACE = Space((N_ARMS, 1, 1, 1), n_observed=N_ARMS + 2)


class Arms(Environment):
    """What was done and found is seen for some decisions only; after them one has to remember.

    Args:
        best: the arm that finds something nine times in ten, the others once in ten.
        steps: decisions of a trajectory.
        shown: decisions after which what came of them is seen.
    """

    space = SPACE

    def __init__(self, best, *, steps=20, shown=8):
        self.name, self.best, self.steps, self.shown = f"arm {best}", best, steps, shown

    def reset(self, *, seed):
        self.rng, self.at = np.random.default_rng(seed), 0
        return np.zeros(SPACE.n_observed, np.float32)

    def step(self, action):
        self.at += 1
        reward = float(self.rng.random() < (0.9 if action.operator == self.best else 0.1))
        seen = np.zeros(SPACE.n_observed, np.float32)
        if self.at <= self.shown:
            seen[action.operator], seen[N_ARMS], seen[N_ARMS + 1] = 1.0, reward, 1.0
        return Step(seen, reward, self.at >= self.steps, 1)


def family(**settings):
    return [Arms(best, **settings) for best in range(N_ARMS)]
