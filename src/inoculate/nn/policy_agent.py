"""What agents share that are meta-trained by proximal policy optimisation; imports torch late."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar

from inoculate.agent import Agent, Environment, Space
from inoculate.errors import TaskError
from inoculate.fuzzing.policies.choices import Scale

if TYPE_CHECKING:  # acting needs no torch
    from inoculate.nn.policy_ppo import PolicyNet

Net = TypeVar("Net", bound="PolicyNet")


class PolicyAgent(Agent, Generic[Net]):
    """An agent whose policy is a net in meta-training and arrays afterwards.

    Args:
        n_iterations: batches of trajectories in meta-training.
        n_programs: programs in a batch.
        n_trajectories: of each of them.
        rate: of the optimiser.
        entropy: weight of the entropy at the start of meta-training.

    Attributes:
        curve: how far each iteration of the last ``meta_fit`` came, see ``policy_ppo.train``.
    """

    meta_trained: ClassVar[bool] = True

    def __init__(
        self,
        *,
        n_iterations: int,
        n_programs: int,
        n_trajectories: int,
        rate: float,
        entropy: float,
    ) -> None:
        self.n_iterations = n_iterations
        self.n_programs = n_programs
        self.n_trajectories = n_trajectories
        self.rate = rate
        self.entropy = entropy
        self.curve: list[float] = []
        self._space: Space | None = None

    @abstractmethod
    def net(self, space: Space, scale: Scale, *, seed: int) -> Net:
        """Return the net that meta-training begins with."""

    @abstractmethod
    def take(self, net: Net) -> None:
        """Keep what of a net is needed to act."""

    def meta_fit(self, environments: Sequence[Environment], *, seed: int = 0) -> Self:
        """Learn from many programs, looked up when needed; ``curve`` grows on the way.

        Raises:
            TaskError: there is no program.
        """
        from inoculate.nn.policy_ppo import Outer, train

        outer = Outer(
            n_iterations=self.n_iterations,
            n_programs=self.n_programs,
            n_trajectories=self.n_trajectories,
            rate=self.rate,
            entropy=self.entropy,
        )
        self.curve = []
        for net, progress in train(
            environments,
            lambda space, scale: self.net(space, scale, seed=seed),
            outer,
            seed=seed,
        ):
            self.curve.append(progress)
            self.take(net)
            self._space = net.space
        return self

    def check_trained_for(self, space: Space) -> None:
        """Refuse a space that the agent was not meta-trained for.

        Raises:
            TaskError: it was not, or not meta-trained at all.
        """
        name = type(self).__module__.rpartition(".")[2]
        if self._space is None:
            raise TaskError(f"{name} needs meta-training first: meta_fit, load_state or a prior")
        if space != self._space:
            raise TaskError(f"{name} was meta-trained for {self._space}, not {space}")
