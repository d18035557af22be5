"""A learner that looks at one column: where it does well, a scenario is no proof of anything."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from inoculate.features.reference import Reference
from inoculate.learner import Learner, Scores, State
from inoculate.metrics import auroc
from inoculate.task import Encoded, FloatArray, Support, Task


@dataclass(frozen=True, slots=True, eq=False)
class _OneColumnDetector:
    reference: Reference
    columns: tuple[int, ...]
    centers: tuple[float, ...]

    def score(self, x: Encoded) -> Scores:
        z = np.nan_to_num(self.reference.z(x.stacked()), nan=0.0)
        near = [-np.abs(z[:, j] - c) for j, c in zip(self.columns, self.centers, strict=True)]
        threat = np.stack(near, 1) if near else np.zeros((len(z), 0))
        return Scores(threat.astype(np.float32), np.abs(z).max(axis=1))


class OneColumn(Learner):
    """The column that separates the examples best, and how near a record is to them in it."""

    column_symmetric = True

    def __init__(self) -> None:
        """Take nothing: ``hyperparameters`` reads the signature."""

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> Self:
        """Learn nothing. Return self."""
        return self

    def adapt(self, support: Support, *, seed: int = 0) -> _OneColumnDetector:
        """Choose a column for each class; without examples the strangest counts."""
        reference = Reference.fit(support.background.stacked())
        background = np.nan_to_num(reference.z(support.background.stacked()), nan=0.0)
        examples = np.nan_to_num(reference.z(support.examples.x.stacked()), nan=0.0)
        chosen, centers = [], []
        for c in range(support.n_way):
            mine, rest = examples[support.examples.y == c], examples[support.examples.y != c]
            middle = np.median(mine, axis=0)
            column = _best(mine - middle, np.concatenate([background, rest]) - middle)
            chosen.append(column)
            centers.append(float(middle[column]))
        return _OneColumnDetector(reference, tuple(chosen), tuple(centers))

    def state(self) -> State:
        """Return nothing."""
        return {}

    def load_state(self, state: State) -> Self:
        """Take nothing. Return self."""
        return self


def _best(mine: FloatArray, rest: FloatArray) -> int:
    near = [auroc(-np.abs(rest[:, j]), -np.abs(mine[:, j])) for j in range(mine.shape[1])]
    return int(np.argmax(near))
