"""A linear policy meta-trained so that a few policy-gradient steps fit it to a program."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from inoculate.agent import Agent, Environment, Policy, Space
from inoculate.errors import TaskError
from inoculate.fuzzing.choices import Scale, fitting, stored_space
from inoculate.fuzzing.linear_policy import LinearPolicy, LinearStart
from inoculate.learner import State


class MamlPolicy(Agent):
    """Weights to start from and sizes of steps, both meta-learned; a step after every window.

    About 15 microseconds a decision. Meta-training costs a few seconds of one core an iteration.

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
        told in ``fuzzing.linear_policy`` and ``nn.policy_unrolled``.
    """

    meta_trained: ClassVar[bool] = True

    def __init__(
        self,
        *,
        window: int = 64,
        n_iterations: int = 200,
        n_programs: int = 8,
        n_trajectories: int = 2,
        rate: float = 3e-3,
        inner_rate: float = 0.1,
        entropy: float = 0.01,
    ) -> None:
        self.window = window
        self.n_iterations = n_iterations
        self.n_programs = n_programs
        self.n_trajectories = n_trajectories
        self.rate = rate
        self.inner_rate = inner_rate
        self.entropy = entropy
        self.curve: list[float] = []
        self.start_: LinearStart | None = None
        self._space: Space | None = None

    def meta_fit(self, environments: Sequence[Environment], *, seed: int = 0) -> Self:
        """Learn from many programs; ``curve`` grows by each iteration's progress.

        Raises:
            TaskError: there is no program.
        """
        from inoculate.nn.policy_ppo import Outer, train
        from inoculate.nn.policy_unrolled import UnrolledNet

        outer = Outer(
            n_iterations=self.n_iterations,
            n_programs=self.n_programs,
            n_trajectories=self.n_trajectories,
            rate=self.rate,
            entropy=self.entropy,
        )

        def build(space: Space, scale: Scale) -> UnrolledNet:
            return UnrolledNet(space, scale, window=self.window, rate=self.inner_rate, seed=seed)

        self.curve = []
        for net, mean in train(environments, build, outer, seed=seed):
            self.curve.append(mean)
            self.start_, self._space = net.start(), net.space
        return self

    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return a policy at its start.

        Raises:
            TaskError: there was no meta-training, or for another space.
        """
        if self.start_ is None:
            raise TaskError(
                "maml_policy needs meta-training first: meta_fit, load_state or a prior"
            )
        if space != self._space:
            raise TaskError(f"maml_policy was meta-trained for {self._space}, not {space}")
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
