"""Reinforcement learning that begins anew with every program."""

from typing import ClassVar

import numpy as np

from inoculate.agent import Agent, Policy, Space
from inoculate.fuzzing.policies.choices import Scale
from inoculate.fuzzing.policies.linear_policy import LinearPolicy, LinearStart


class ScratchPolicy(Agent):
    """The inner update of ``maml_policy`` from weights of zero: every choice equally likely.

    Args:
        window: decisions between two steps, at least 2.
        rate: size of a step.
    """

    baseline: ClassVar[bool] = True

    def __init__(self, *, window: int = 64, rate: float = 0.3) -> None:
        self.window = window
        self.rate = rate

    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return a policy that has learned nothing yet."""
        n, width = space.n_observed, sum(space.actions)
        plain = Scale(np.zeros(n, np.float32), np.ones(n, np.float32))
        step = np.full((2, len(space.actions)), self.rate, np.float32)
        start = LinearStart(np.zeros((n + 1, width), np.float32), step, plain, self.window)
        return LinearPolicy(start, space, seed=seed)
