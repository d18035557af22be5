"""A linear policy meta-trained so that a few policy-gradient steps fit it to a program."""

from typing import TYPE_CHECKING, Self

import numpy as np

from inoculate.agent import Policy, Space
from inoculate.errors import TaskError
from inoculate.fuzzing.policies.choices import Scale, fitting, stored_space
from inoculate.fuzzing.policies.linear_policy import LinearPolicy, LinearStart
from inoculate.learner import State
from inoculate.nn.policy_agent import PolicyAgent

if TYPE_CHECKING:  # acting needs no torch
    from inoculate.nn.policy_unrolled import UnrolledNet


class MamlPolicy(PolicyAgent["UnrolledNet"]):
    """Weights to start from and sizes of steps, both meta-learned; a step after every window.

    Costs a few seconds of one core an iteration in meta-training; about 12 microseconds a
    decision afterwards.

    Args:
        window: decisions between two steps, at least 2.
        n_iterations: batches of trajectories in meta-training.
        n_programs: programs in a batch.
        n_trajectories: of each of them.
        rate: of the optimiser of the outer loop.
        inner_rate: size of a step before meta-training.
        entropy: weight of the entropy at the start of meta-training.

    References:
        Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
        Networks", ICML 2017, section 5.3; Rothfuss et al., "ProMP", ICLR 2019. Departures are
        told in ``fuzzing.policies.linear_policy`` and ``nn.policy_unrolled``.
    """

    def __init__(
        self,
        *,
        window: int = 64,
        n_iterations: int = 80,
        n_programs: int = 6,
        n_trajectories: int = 2,
        rate: float = 5e-3,
        inner_rate: float = 0.1,
        entropy: float = 0.01,
    ) -> None:
        super().__init__(
            n_iterations=n_iterations,
            n_programs=n_programs,
            n_trajectories=n_trajectories,
            rate=rate,
            entropy=entropy,
        )
        self.window = window
        self.inner_rate = inner_rate
        self.start_: LinearStart | None = None

    def net(self, space: Space, scale: Scale, *, seed: int) -> "UnrolledNet":
        """Return the net that meta-training begins with."""
        from inoculate.nn.policy_unrolled import UnrolledNet

        return UnrolledNet(space, scale, window=self.window, rate=self.inner_rate, seed=seed)

    def take(self, net: "UnrolledNet") -> None:
        """Keep where the policy of a net starts."""
        self.start_ = net.start()

    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return a policy at its start.

        Raises:
            TaskError: there was no meta-training, or for another space.
        """
        self.check_trained_for(space)
        if self.start_ is None:
            raise TaskError("maml_policy has no start")
        return LinearPolicy(self.start_, space, seed=seed)

    def state(self) -> State:
        """Return the start, the scale, and how many choices each part of an action has."""
        if self.start_ is None or self._space is None:
            return {}
        return {
            "weight": self.start_.weight,
            "step": self.start_.step,
            "shift": self.start_.scale.shift,
            "stretch": self.start_.scale.stretch,
            "actions": np.array(self._space.actions),
        }

    def load_state(self, state: State) -> Self:
        """Take the arrays of ``state``.

        Raises:
            ArtifactError: an array is missing, has the wrong shape or is not finite.
        """
        if not state:
            self.start_ = self._space = None
            return self
        space = stored_space(state)
        n = space.n_observed
        wanted = {
            "weight": (n + 1, sum(space.actions)),
            "step": (2, len(space.actions)),
            "shift": (n,),
            "stretch": (n,),
        }
        held = fitting(state, wanted, of="maml_policy")
        scale = Scale(held["shift"], held["stretch"])
        self.start_ = LinearStart(held["weight"], held["step"], scale, self.window)
        self._space = space
        return self
