"""What every agent must do: learn across programs, then fuzz one while learning it.

The words are those of reinforcement learning. A *task* is a program. A *trajectory* is one run
of a policy on one program; its *return* is the sum of its rewards. A *policy* is an agent
adapted to the program at hand: its state moves within the program, the agent's never does.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy.typing as npt

from inoculate.learner import State
from inoculate.task import FloatArray


class Action(NamedTuple):
    """One decision: how the seed at hand is mutated, and which seed comes next.

    Attributes:
        operator: index of the operator family.
        intensity: index of how many operators are stacked on one input.
        region: index of where in the seed they may strike.
        seed: index of the rule by which the next seed is chosen.
    """

    operator: int
    intensity: int
    region: int
    seed: int


@dataclass(frozen=True, slots=True)
class Space:
    """What there is to choose from, and to look at.

    Attributes:
        actions: how many choices each part of an action has, in the order of ``Action``.
        n_observed: numbers in an observation.
    """

    actions: tuple[int, int, int, int]
    n_observed: int


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What came of an action.

    Attributes:
        observation: (n_observed,) float32, finite: what is seen before the next action.
        reward: see docs/decisions/0010.
        done: the budget is spent.
        executions: inputs that were run.
        bug: number of a bug not found before, else -1.
        lineage: of a bug, the steps (from 0) whose mutants are its ancestors, itself last.
    """

    observation: FloatArray
    reward: float
    done: bool
    executions: int
    bug: int = -1
    lineage: tuple[int, ...] = ()


class Environment(ABC):
    """One program to fuzz, and the inputs found so far.

    Attributes:
        space: its actions and observations; the same for all programs.
        name: of the program.
        taste: a policy's, by which the next seed is chosen where its rule is the first one.
    """

    space: Space
    name: str
    taste: Sequence[float] | None = None

    @abstractmethod
    def reset(self, *, seed: int) -> FloatArray:
        """Begin a trajectory from the program's first seeds; return the first observation."""

    @abstractmethod
    def step(self, action: Action) -> Step:
        """Mutate, run, keep what is new."""

    def seed_seen(self) -> tuple[float, ...]:
        """Return what a taste weighs of the seed at hand; empty where there is one seed only."""
        return ()


class Policy(ABC):
    """An agent at work on one program; changes with every step.

    Attributes:
        taste: what seeds it prefers, weights of ``Environment.seed_seen``; None: it has none. Who
            runs a policy gives it to the environment before its reset.
    """

    taste: Sequence[float] | None = None

    @abstractmethod
    def act(self, observation: FloatArray) -> Action:
        """Choose what to do next."""

    @abstractmethod
    def learn(self, action: Action, reward: float) -> None:
        """Take what came of the last action."""

    @abstractmethod
    def memory(self) -> Mapping[str, npt.NDArray[Any]]:
        """Return all that has moved since ``adapt``, to go on from after a stop."""

    @abstractmethod
    def remember(self, memory: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what ``memory`` returned.

        Raises:
            ArtifactError: an array is missing or has the wrong shape.
        """


class Agent(ABC):
    """Base of all agents: one file an agent.

    Hyperparameters are keyword-only arguments with defaults, so ``Agent()`` always works. What
    ``meta_fit`` learns ends in ``_`` and is all that ``state`` returns.

    Attributes:
        meta_trained: True when ``adapt`` needs ``meta_fit`` or ``load_state`` first.
        baseline: True for a method of others, which a meta-learned one has to beat.
    """

    meta_trained: ClassVar[bool] = False
    baseline: ClassVar[bool] = False

    def meta_fit(self, environments: Sequence[Environment], *, seed: int = 0) -> Self:
        """Learn from many programs. Return self. Does nothing unless overridden."""
        del environments, seed
        return self

    @abstractmethod
    def adapt(self, space: Space, *, seed: int = 0) -> Policy:
        """Return a policy for a program never seen. Must not change the agent.

        Raises:
            TaskError: the agent needs meta-training and had none, or for another space.
        """

    def state(self) -> State:
        """Return the learned arrays by name, for the store; empty when there are none."""
        return {}

    def load_state(self, state: State) -> Self:
        """Take arrays that ``state`` returned. Return self.

        Raises:
            ArtifactError: an array is missing or has the wrong shape.
        """
        del state
        return self

    def hyperparameters(self) -> dict[str, Any]:
        """Return the keyword arguments that build this agent again (JSON values)."""
        names = [p for p in inspect.signature(type(self).__init__).parameters if p != "self"]
        return {name: getattr(self, name) for name in names if name not in ("args", "kwargs")}
