"""Trees, neighbours and the evidence network on one support set, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inoculate.features.contrast import Contrast
from inoculate.features.forest import Forest, grow_forest
from inoculate.features.space import Space, balanced_weights
from inoculate.features.tails import Tails
from inoculate.nn.evidence import EvidenceNet
from inoculate.nn.evidence_support import Sides
from inoculate.task import FloatArray, Support

_N_NEIGHBOURS, _SOFTENING = 5, 0.3
_LEAST = 1e-3  # a share of examples below this is none
_MOST_BACKGROUND = 192  # background records that are scored without themselves


@dataclass(frozen=True, slots=True)
class Trees:
    """How the forests of a class are grown: trees in all, and records of a split's side."""

    n_trees: int
    min_leaf: int

    def grow(
        self,
        space: Space,
        mine: npt.NDArray[np.bool_],
        side: npt.NDArray[np.bool_],
        *,
        seed: int,
    ) -> Forest:
        """Return half a class's trees, grown on one side of the background.

        Args:
            space: the support set.
            mine: (k,) which examples are of the class.
            side: (m,) which background records to grow on; none means all.
            seed: of the trees.
        """
        background = space.background[side] if side.any() else space.background
        x = space.dense(np.concatenate([background, space.examples]))
        return grow_forest(
            x,
            balanced_weights(len(background), mine),
            n_trees=max(1, self.n_trees // 2),
            n_tried=int(np.ceil(np.sqrt(x.shape[1]))),
            min_leaf=self.min_leaf,
            rng=np.random.default_rng(seed),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """The methods on one support set, for some of its classes; without classes, for novelty.

    Attributes:
        space: the support set as trees and neighbours see it.
        forests: two a class, each grown on one side of the background.
        half: (m,) which side a background record is on.
        contrast: the neighbours, of the background that the network looks at.
        tails: of the background; looked at without classes only.
        sides: of the network.
    """

    space: Space
    forests: tuple[tuple[Forest, Forest], ...]
    half: np.ndarray
    contrast: Contrast
    tails: Tails
    sides: Sides

    @classmethod
    def of(
        cls,
        support: Support,
        ways: Sequence[int],
        net: EvidenceNet,
        trees: Trees,
        *,
        n_background: int,
        seed: int,
    ) -> "Members":
        """Return the methods fitted on a support set.

        Args:
            support: the support set.
            ways: its classes to tell; none for novelty.
            net: the network.
            trees: how to grow forests.
            n_background: background records that network and neighbours look at.
            seed: of all draws.
        """
        space, y = Space.of(support), support.examples.y
        half = np.random.default_rng(seed).permutation(len(space.background)) % 2 == 0
        if half.all():  # a single record grows both forests
            half = np.zeros(1, bool)
        sides = Sides.of(net, support, ways=ways, n_background=n_background, seed=seed)
        few = replace(space, background=space.background[sides.rows])
        rows = [np.flatnonzero(y == way) for way in ways]
        forests = [
            (
                trees.grow(space, y == w, half, seed=seed),
                trees.grow(space, y == w, ~half, seed=seed),
            )
            for w in ways
        ]
        contrast = Contrast(few, rows, _N_NEIGHBOURS, _SOFTENING)
        tails = Tails.of(space.dense(space.background))
        return cls(space, tuple(forests), half, contrast, tails, sides)

    @property
    def n_ways(self) -> int:
        """Number of classes told; 1 for novelty."""
        return max(1, len(self.forests))

    def cheap(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the first two scores of records in the space, (n, ways, 2), and novelty, (n,)."""
        threat, novelty = self.contrast.score(z)
        dense = self.space.dense(z)
        if not self.forests:
            return np.stack([_log(novelty), self.tails.score(dense)], axis=-1)[:, None], novelty
        columns = np.ascontiguousarray(dense.T)
        shares = [(a.mean_value(columns) + b.mean_value(columns)) / 2 for a, b in self.forests]
        return np.stack([_log_odds(np.stack(shares, 1)), threat], axis=-1), novelty

    def judged(self, rows: FloatArray) -> FloatArray:
        """Return the network's logits of records as they are, (n, ways)."""
        return self.sides.logits(rows, range(self.n_ways))

    def left_out(self, way: int) -> FloatArray:
        """Return scores of some background records, each without itself, (n, 3)."""
        rows, judged = self.sides.left_out(way, _MOST_BACKGROUND)
        z = self.space.background[rows]  # among them the neighbours' own background
        threat, novelty = self.contrast.score(z, own=True)
        dense = self.space.dense(z)
        if not self.forests:
            return np.stack([_log(novelty), self.tails.score(dense, own=True), judged], axis=1)
        columns, (a, b) = np.ascontiguousarray(dense.T), self.forests[way]
        share = np.where(self.half[rows], b.mean_value(columns), a.mean_value(columns))
        return np.stack([_log_odds(share), threat[:, way], judged], axis=1)


def _log(distance: FloatArray) -> FloatArray:
    return np.asarray(np.log(distance + np.float32(1e-2)), np.float32)


def _log_odds(share: FloatArray) -> FloatArray:
    return np.asarray(np.log((share + _LEAST) / (1 - share + _LEAST)), np.float32)
