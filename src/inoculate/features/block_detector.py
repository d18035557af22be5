"""A detector around any function that scores the inputs of a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from inoculate.features.space import Novelty, Space, inputs, support_inputs
from inoculate.learner import Scores
from inoculate.task import Encoded, FloatArray, Support

Side = TypeVar("Side")


@dataclass(frozen=True, slots=True, eq=False)
class BlockDetector:
    """Scores records some rows at a time, so that memory stays bounded.

    Attributes:
        space: where records are put before they are scored.
        novelty: measures how new they are.
        n_way: number of classes; without any, only novelty is scored.
        threat: log-odds (n, n_way) of inputs (n, 2d); see ``space.inputs``.
        rows: at a time.
    """

    space: Space
    novelty: Novelty
    n_way: int
    threat: Callable[[FloatArray], FloatArray]
    rows: int = 4_096

    @classmethod
    def of(
        cls,
        support: Support,
        side: Callable[[FloatArray, FloatArray], Side],
        threat: Callable[[Sequence[Side], FloatArray], FloatArray],
        *,
        n_points: int,
    ) -> "BlockDetector":
        """Return the detector of a support set.

        Args:
            support: the support set.
            side: what is kept of one class, from inputs (s, 2d) and targets (s,).
            threat: log-odds from what was kept of each class, and inputs.
            n_points: background records that novelty is measured from.
        """
        space = Space.of(support)
        sides = [side(*support_inputs(space, support, c)) for c in range(support.n_way)]
        novelty = Novelty.of(space, n_points)
        return cls(space, novelty, support.n_way, partial(threat, sides))

    def score(self, x: Encoded) -> Scores:
        """Return log-odds of each class against background and the other classes."""
        z = self.space.z(x)
        threat = np.zeros((len(z), self.n_way), np.float32)
        for start in range(0, len(z) if self.n_way else 0, self.rows):
            block = slice(start, start + self.rows)
            threat[block] = self.threat(inputs(z[block]))
        return Scores(threat, self.novelty.score(z))
