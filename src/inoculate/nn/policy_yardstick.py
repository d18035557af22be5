"""How far along a program a trajectory is, by the time the policy that came first took.

Finding slows down as a program is fuzzed: the sum of rewards grows about as the logarithm of
the executions, so that a policy twice as fast has a return only a little higher, nearly all of it
from its first decisions. What counts is the time. A yardstick turns what was found so far into
the time in which the first policy found as much, or rather its root: times of equal policies
differ so widely that a mean of them is a matter of luck. Since it depends on what was found
and not on when, nothing is gained by putting a find off (Ng, Harada and Russell, "Policy
invariance under reward transformations", ICML 1999, section 3).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inoculate.fuzzing.trajectories import Trajectory

_FURTHEST = 8.0
_LEAST_SLOPE = 1.0
_LEAST_SHARE = 0.05


class Yardstick:
    """The mean of the sums of rewards of some trajectories of one program.

    Beyond their end it goes on by the logarithm of time, as from their middle to their end, to
    eight times their length at most.

    Args:
        first: trajectories of the first policy, at least one.

    Attributes:
        length: decisions of the shortest of them.
    """

    def __init__(self, first: Sequence[Trajectory]) -> None:
        n = min(len(one) for one in first)
        sums = np.mean([np.cumsum(one.rewards[:n], dtype=np.float64) for one in first], axis=0)
        rising = np.arange(n + 1) * 1e-9  # so that a sum is reached once
        self._sums = np.concatenate([[0.0], sums]) + rising
        self.length = n
        slope = (self._sums[n] - self._sums[n // 2]) / np.log(2)
        self._slope = max(slope, _LEAST_SHARE * self._sums[n], _LEAST_SLOPE)

    def progress(self, rewards: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return how far each of T decisions led, (T,): 1 on average for the first policy's."""
        sums = np.cumsum(rewards, dtype=np.float64)
        within = np.interp(sums, self._sums, np.arange(self.length + 1))
        beyond = np.clip((sums - self._sums[-1]) / self._slope, 0.0, np.log(_FURTHEST))
        times = within * np.exp(beyond)
        found: npt.NDArray[np.float32] = np.diff(np.sqrt(times * self.length), prepend=0.0)
        return found.astype(np.float32)
