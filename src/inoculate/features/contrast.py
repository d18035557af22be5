"""Nearer to an example than to background? A ratio of distances in the reference space."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inoculate.features.neighbours import distances
from inoculate.features.space import FAR, Space
from inoculate.task import FloatArray

_PAIRS = 262_144  # pairs at a time: a block of float32 pairs stays in the cache


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Holds records against examples and background.

    Attributes:
        space: the support set.
        classes: the rows of each class's examples.
        n_neighbours: background records whose mean distance is held against a class's.
        softening: added to distances, so that exact repeats do not outweigh all else.
    """

    space: Space
    classes: Sequence[npt.NDArray[np.intp]]
    n_neighbours: int
    softening: float

    def score(self, z: FloatArray, *, own: bool = False) -> tuple[FloatArray, FloatArray]:
        """Return log(distance to background / to the class), (n, n_way), and novelty, (n,).

        Args:
            z: records in the space, NaN where unknown.
            own: they are the background's own records: the nearest one is itself, and is left out.
        """
        n, rows = len(z), max(1, _PAIRS // len(self.space.background))
        threat, novelty = np.zeros((n, len(self.classes)), np.float32), np.zeros(n, np.float32)
        for start in range(0, n, rows):
            block = slice(start, start + rows)
            threat[block], novelty[block] = self._score(z[block], int(own))
        return threat, novelty

    def _score(self, z: FloatArray, own: int) -> tuple[FloatArray, FloatArray]:
        space = self.space
        usable, compared = space.reference.usable, space.compared
        own = min(own, len(space.background) - 1)  # a single record has no other
        apart = distances(z[:, usable], space.background[:, usable], unmatched=0.0)
        novelty = np.partition(apart, own, axis=1)[:, own]
        if not self.classes:
            return np.zeros((len(z), 0), np.float32), novelty
        if len(compared) < len(usable):  # both distances must rest on the same columns
            apart = distances(z[:, compared], space.background[:, compared], unmatched=FAR)
        k = min(self.n_neighbours + own, apart.shape[1])
        nearest = np.sort(np.partition(apart, k - 1, axis=1)[:, :k], axis=1)[:, own:]
        against = np.log(nearest.mean(axis=1) + self.softening)
        to = distances(z[:, compared], space.examples[:, compared], unmatched=FAR)
        near = np.stack([to[:, rows].min(axis=1) for rows in self.classes], axis=1)
        return against[:, None] - np.log(near + np.float32(self.softening)), novelty
