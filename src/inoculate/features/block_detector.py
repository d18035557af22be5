"""A detector around any function that scores the inputs of a network."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inoculate.features.space import Novelty, Space, inputs
from inoculate.learner import Scores
from inoculate.task import Encoded, FloatArray


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

    def score(self, x: Encoded) -> Scores:
        """Return log-odds of each class against background and the other classes."""
        z = self.space.z(x)
        threat = np.zeros((len(z), self.n_way), np.float32)
        for start in range(0, len(z) if self.n_way else 0, self.rows):
            block = slice(start, start + self.rows)
            threat[block] = self.threat(inputs(z[block]))
        return Scores(threat, self.novelty.score(z))
