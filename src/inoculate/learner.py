"""What every learner must do: learn across tasks, then adapt to one."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from inoculate.task import Encoded, FloatArray, Support, Task

State = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a detector says of n records. Higher is more suspicious; the scale is the learner's.

    Attributes:
        threat: (n, n_way) float32, finite: how much each record looks like each class rather
            than like background. Comparable between records, and between classes.
        novelty: (n,) float32, finite: how little each record looks like background.
    """

    threat: FloatArray
    novelty: FloatArray

    def alarm(self) -> FloatArray:
        """Return the one score that is held against a threshold, (n,).

        The best class's score; without classes (K = 0) the novelty.
        """
        return self.threat.max(axis=1) if self.threat.shape[1] else self.novelty

    def best(self) -> npt.NDArray[np.int64]:
        """Return the index of each record's best class, (n,); -1 without classes."""
        if not self.threat.shape[1]:
            return np.full(len(self.novelty), -1, np.int64)
        return np.asarray(self.threat.argmax(axis=1), np.int64)


class Detector(Protocol):
    """A learner adapted to one support set; immutable, safe to share between threads."""

    def score(self, x: Encoded) -> Scores:
        """Score n records; NaN cells are unknown values and must be survived."""
        ...


class Learner(ABC):
    """Base of all learners.

    Hyperparameters are keyword-only arguments with defaults, so ``Learner()`` always works.
    What ``meta_fit`` learns ends in ``_`` and is all that ``state`` returns.

    Attributes:
        transductive: True when a record's score may depend on its neighbours in the batch.
        meta_trained: True when ``adapt`` needs ``meta_fit`` (or ``load_state``) first; such a
            prior is tied to the columns it was meta-trained on.
        schema_free: True when a meta-trained learner works on any columns, not only on those it
            was meta-trained on.
        column_symmetric: True when the order of the columns does not matter.
        paired: True for a learner of pairs: where examples have no twins others are better.
        baseline: True for a simple method of others, which a learned one has to beat.
        meta_fit_only: hyperparameters that only ``meta_fit`` looks at; a stored prior may hold
            any number there, since adapting cannot be stalled by it.
    """

    transductive: ClassVar[bool] = False
    meta_trained: ClassVar[bool] = False
    schema_free: ClassVar[bool] = False
    column_symmetric: ClassVar[bool] = False
    paired: ClassVar[bool] = False
    baseline: ClassVar[bool] = False
    meta_fit_only: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> Self:
        """Outer loop: learn from many tasks. Return self."""

    @abstractmethod
    def adapt(self, support: Support, *, seed: int = 0) -> Detector:
        """Inner loop: fit one support set, K = 0 included. Must not change the learner.

        Raises:
            TaskError: the learner needs meta-training and had none, or the columns do not fit.
        """

    @abstractmethod
    def state(self) -> State:
        """Return the learned arrays by name, for the store; empty when there are none."""

    @abstractmethod
    def load_state(self, state: State) -> Self:
        """Take arrays that ``state`` returned. Return self.

        Raises:
            ArtifactError: an array is missing or has the wrong shape.
        """

    def hyperparameters(self) -> dict[str, Any]:
        """Return the keyword arguments that build this learner again (JSON values)."""
        names = [p for p in inspect.signature(type(self).__init__).parameters if p != "self"]
        return {name: getattr(self, name) for name in names}
