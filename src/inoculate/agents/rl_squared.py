"""RL^2: a recurrent network whose state is what it has learned of the program."""

from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from inoculate.agent import Policy, Space
from inoculate.fuzzing.policies.choices import Scale, fitting, stored_space
from inoculate.fuzzing.policies.recurrent_policy import RecurrentPolicy, shapes_of
from inoculate.learner import State
from inoculate.nn.policy_agent import PolicyAgent

if TYPE_CHECKING:  # acting needs no torch
    from inoculate.nn.policy_recurrent import RecurrentNet


class RlSquared(PolicyAgent["RecurrentNet"]):
    """A gated recurrent unit meta-trained over programs; nothing but its state moves within one.

    Costs a few seconds of one core an iteration in meta-training; about 20 microseconds a
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

    def __init__(
        self,
        *,
        n_hidden: int = 48,
        n_iterations: int = 110,
        n_programs: int = 6,
        n_trajectories: int = 2,
        rate: float = 2e-3,
        entropy: float = 0.01,
    ) -> None:
        super().__init__(
            n_iterations=n_iterations,
            n_programs=n_programs,
            n_trajectories=n_trajectories,
            rate=rate,
            entropy=entropy,
        )
        self.n_hidden = n_hidden
        self.arrays_: dict[str, npt.NDArray[np.float32]] = {}

    def net(self, space: Space, scale: Scale, *, seed: int) -> "RecurrentNet":
        """Return the net that meta-training begins with."""
        from inoculate.nn.policy_recurrent import RecurrentNet

        return RecurrentNet(space, scale, n_hidden=self.n_hidden, seed=seed)

    def take(self, net: "RecurrentNet") -> None:
        """Keep the arrays of a net."""
        self.arrays_ = dict(net.arrays())

    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return a policy with an empty state.

        Raises:
            TaskError: there was no meta-training, or for another space.
        """
        self.check_trained_for(space)
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
