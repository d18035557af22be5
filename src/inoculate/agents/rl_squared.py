"""RL^2: a recurrent network whose state is what it has learned of the program."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from inoculate.agent import Agent, Environment, Policy, Space
from inoculate.errors import TaskError
from inoculate.fuzzing.choices import fitting, stored_space
from inoculate.fuzzing.recurrent_policy import RecurrentPolicy, shapes_of
from inoculate.learner import State


class RlSquared(Agent):
    """A gated recurrent unit meta-trained over programs; nothing but its state moves within one.

    Costs a few seconds of one core an iteration in meta-training; about 25 microseconds a
    decision afterwards.

    Args:
        n_hidden: numbers in the state.
        n_iterations: batches of trajectories in meta-training.
        n_programs: programs in a batch.
        n_trajectories: of each of them.
        rate: of the optimiser.
        entropy: weight of the entropy at the start of meta-training.

    References:
        Duan et al., "RL^2: Fast Reinforcement Learning via Slow Reinforcement Learning", arXiv
        1611.02779, 2016; Wang et al., "Learning to reinforcement learn", arXiv 1611.05763, 2016.
        Departures: the logits also see the observation itself, past the state; the state lives
        as long as one trajectory.
    """

    meta_trained: ClassVar[bool] = True

    def __init__(
        self,
        *,
        n_hidden: int = 48,
        n_iterations: int = 300,
        n_programs: int = 8,
        n_trajectories: int = 2,
        rate: float = 1e-3,
        entropy: float = 0.01,
    ) -> None:
        self.n_hidden = n_hidden
        self.n_iterations = n_iterations
        self.n_programs = n_programs
        self.n_trajectories = n_trajectories
        self.rate = rate
        self.entropy = entropy
        self.curve: list[float] = []
        self.arrays_: dict[str, npt.NDArray[np.float32]] = {}
        self._space: Space | None = None

    def meta_fit(self, environments: Sequence[Environment], *, seed: int = 0) -> Self:
        """Learn from many programs; ``curve`` grows by each iteration's progress.

        Raises:
            TaskError: there is no program.
        """
        from inoculate.nn.policy_ppo import Outer, train
        from inoculate.nn.policy_recurrent import RecurrentNet

        outer = Outer(
            n_iterations=self.n_iterations,
            n_programs=self.n_programs,
            n_trajectories=self.n_trajectories,
            rate=self.rate,
            entropy=self.entropy,
        )
        self.curve = []
        for net, mean in train(
            environments,
            lambda space, scale: RecurrentNet(space, scale, n_hidden=self.n_hidden, seed=seed),
            outer,
            seed=seed,
        ):
            self.curve.append(mean)
            self.arrays_, self._space = dict(net.arrays()), net.space
        return self

    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return a policy with an empty state.

        Raises:
            TaskError: there was no meta-training, or for another space.
        """
        if not self.arrays_:
            raise TaskError("rl_squared needs meta-training first: meta_fit, load_state or a prior")
        if space != self._space:
            raise TaskError(f"rl_squared was meta-trained for {self._space}, not {space}")
        return RecurrentPolicy(self.arrays_, space, seed=seed)

    def state(self) -> State:
        """Return the weights, and how many choices each part of an action has."""
        if self._space is None:
            return {}
        return {**self.arrays_, "actions": np.array(self._space.actions)}

    def load_state(self, state: State) -> Self:
        """Take the weights.

        Raises:
            ArtifactError: an array is missing, has the wrong shape or is not finite.
        """
        if not state:
            self.arrays_, self._space = {}, None
            return self
        space = stored_space(state)
        wanted = shapes_of(space, self.n_hidden)
        self.arrays_, self._space = fitting(state, wanted, of="rl_squared"), space
        return self
