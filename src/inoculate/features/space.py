"""The space that learners compare records in: columns against the background, unknown kept.

A column that no example knows can tell examples from background only by being unknown, which
is a property of the file format, not of the threat: it is left out when the two are compared.
A column that the background itself knows only in part says something by being unknown (a gap
between packets needs two of them): it is *flagged*, given a second column that is 1 where known.

References:
    Little and Rubin, "Statistical Analysis with Missing Data", 3rd ed., 2019, section 1.3, for
    missingness that informs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inoculate.features.neighbours import nearest, spread_points
from inoculate.features.reference import Z_LIMIT, Reference
from inoculate.task import Encoded, FloatArray, Support, Task

Float64 = npt.NDArray[np.float64]

FAR = 2 * Z_LIMIT
"""Distance of two records that have no known column in common: the largest there is."""


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """A support set in reference space.

    Attributes:
        reference: the background that columns are expressed against.
        background: (m, d) signed-log robust distances of the background, NaN where unknown.
        examples: (k, d) of the examples.
        compared: columns known to the background and to at least one example, increasing.
        flagged: those of ``compared`` that the background knows in part.
    """

    reference: Reference
    background: FloatArray
    examples: FloatArray
    compared: npt.NDArray[np.intp]
    flagged: npt.NDArray[np.intp]

    @classmethod
    def of(cls, support: Support) -> "Space":
        """Return the space of a support set."""
        reference = Reference.fit(support.background.stacked())
        background = reference.z(support.background.stacked())
        examples = reference.z(support.examples.x.stacked())
        known = np.isfinite(examples).any(axis=0) if len(examples) else reference.known_share > 0
        compared = np.flatnonzero(known & (reference.known_share > 0))
        flagged = compared[reference.known_share[compared] < 1]
        return cls(reference, background, examples, compared, flagged)

    def z(self, x: Encoded) -> FloatArray:
        """Return records in this space, (n, d), NaN where unknown.

        Raises:
            TaskError: the records have another number of columns.
        """
        return self.reference.z(x.stacked())

    def dense(self, z: FloatArray) -> FloatArray:
        """Return compared columns, unknown as 0, then flags: (n, c + f) without NaN."""
        values = np.nan_to_num(z[:, self.compared], copy=True, nan=0.0)
        if not len(self.flagged):
            return values
        return np.hstack([values, np.isfinite(z[:, self.flagged]).astype(np.float32)])


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """How far a record is from everything in the background.

    Attributes:
        points: (m, d) background records in reference space, NaN where unknown.
    """

    points: FloatArray

    @classmethod
    def of(cls, space: Space, most: int) -> "Novelty":
        """Return the novelty against at most ``most`` background records that cover all.

        A quarter of that beside examples: there novelty is shown, but raises no alarm.
        """
        most = max(1, most // 4) if len(space.examples) else most
        usable = space.background[:, space.reference.usable]
        return cls(space.background[spread_points(usable, most)])

    def score(self, z: FloatArray) -> FloatArray:
        """Return the mean difference to the nearest background record, (n,)."""
        columns = np.flatnonzero(np.isfinite(self.points).any(axis=0))
        if not len(columns):
            return np.zeros(len(z), np.float32)
        return nearest(z[:, columns], self.points[:, columns], unmatched=0.0)


def inputs(z: FloatArray) -> FloatArray:
    """Return what a network sees of records: columns with unknown as 0, then known flags, (n, 2d).

    All columns whether known or not, so that a prior fits every source of one schema.
    """
    return np.hstack([np.nan_to_num(z, nan=0.0), np.isfinite(z).astype(np.float32)])


def support_inputs(space: Space, support: Support, c: int) -> tuple[FloatArray, FloatArray]:
    """Return inputs and targets of one class against background and the other classes."""
    mine = support.examples.y == c
    parts = (space.examples[mine], space.background, space.examples[~mine])
    x = inputs(np.concatenate(parts))
    target = np.zeros(len(x), np.float32)
    target[: mine.sum()] = 1
    return x, target


def problems(
    tasks: Iterable[Task],
) -> Iterator[tuple[FloatArray, FloatArray, FloatArray, FloatArray]]:
    """Yield one binary problem a class of each task: support, its targets, query, its targets."""
    for task in tasks:
        space = Space.of(task.support)
        query = inputs(space.z(task.query.x))
        for c in range(task.support.n_way):
            x, target = support_inputs(space, task.support, c)
            yield x, target, query, (task.query.y == c).astype(np.float32)


def balanced_weights(n_background: int, positive: npt.NDArray[np.bool_]) -> Float64:
    """Return weights of background and then examples, (m + k, 2): as negative, as positive.

    Both sides weigh half in total, however few examples there are.

    Args:
        n_background: m background records, all negative.
        positive: (k,) whether each example is of the class; the others count as negative.
    """
    side = np.concatenate([np.zeros(n_background, np.int64), positive.astype(np.int64)])
    counts = np.bincount(side, minlength=2)
    weight = np.zeros((len(side), 2))
    weight[np.arange(len(side)), side] = 0.5 / np.maximum(counts[side], 1)
    return weight
