"""Trajectories: what a policy saw, did and got on one program, as arrays."""

from dataclasses import dataclass

import numpy as np

from inoculate.agent import Environment, Policy
from inoculate.task import FloatArray, IntArray

MOST_STEPS = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """T decisions on one program.

    Attributes:
        program: its name.
        observations: (T + 1, n_observed) what was seen before each action, and at the end.
        actions: (T, 4) int64.
        rewards: (T,) float32.
        executions: (T,) int64, inputs run until the end of each decision.
        bug_after: executions until the end of the decision that found the first bug, -1: none.
    """

    program: str
    observations: FloatArray
    actions: IntArray
    rewards: FloatArray
    executions: IntArray
    bug_after: int = -1

    def __len__(self) -> int:
        """Return the number of decisions."""
        return len(self.rewards)

    @property
    def total(self) -> float:
        """The return: the sum of the rewards."""
        return float(self.rewards.sum(dtype=np.float64))


def collect(
    policy: Policy, environment: Environment, *, seed: int, most: int = MOST_STEPS
) -> Trajectory:
    """Return one trajectory; the policy learns on the way.

    Args:
        policy: adapted to the environment's space; it is changed.
        environment: reset first.
        seed: of the environment's chance; the policy has its own.
        most: decisions after which it ends even where the environment does not, at least 1.
    """
    environment.taste = policy.taste
    seen = [environment.reset(seed=seed)]
    actions, rewards, executions = [], [], []
    bug_after, run = -1, 0
    for _ in range(most):
        action = policy.act(seen[-1])
        step = environment.step(action)
        policy.learn(action, step.reward)
        run += step.executions
        seen.append(step.observation)
        actions.append(action)
        rewards.append(step.reward)
        executions.append(run)
        if step.bug >= 0 and bug_after < 0:
            bug_after = run
        if step.done:
            break
    return Trajectory(
        environment.name,
        np.stack(seen).astype(np.float32),
        np.array(actions, np.int64),
        np.array(rewards, np.float32),
        np.array(executions, np.int64),
        bug_after,
    )
