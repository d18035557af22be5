"""A few-shot task: a support set to adapt on and a query set to be judged on.

References:
    Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016, section 2.2.
    Departure: a support set also carries *background*, unlabelled and mostly benign records,
    because a detector has to keep a false-alarm rate, not an accuracy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inoculate.errors import TaskError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

BACKGROUND = -1
"""Label of a query record that belongs to none of the task's classes."""


class Encoded(Mapping[str, FloatArray]):
    """Records as numbers: one (n, d) float32 array a view, NaN where a value is unknown.

    Args:
        views: arrays by view name; all have the same number of rows. Not copied.

    Raises:
        TaskError: no view, a view that is not two-dimensional float32, an infinity, or views
            of different lengths.

    Example:
        >>> e = Encoded({"flow": np.zeros((3, 2), np.float32)})
        >>> len(e), e.n_records, e.take(np.array([0])).stacked().shape
        (1, 3, (1, 2))
    """

    __slots__ = ("_views",)

    def __init__(self, views: Mapping[str, FloatArray]) -> None:
        self._views = dict(sorted(views.items()))
        if not self._views:
            raise TaskError("no view: encode() must return at least one")
        for name, x in self._views.items():
            if x.ndim != 2 or x.dtype != np.float32:
                raise TaskError(f"view {name!r} is {x.dtype} {x.shape}, expected float32 (n, d)")
            if np.isinf(x).any():
                raise TaskError(f"view {name!r} holds an infinity; use NaN for unknown")
        if len({len(x) for x in self._views.values()}) > 1:
            raise TaskError(f"views differ in length: { {k: len(x) for k, x in views.items()} }")

    def __getitem__(self, name: str) -> FloatArray:
        """Return one view, (n, d)."""
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over view names, in alphabetical order."""
        return iter(self._views)

    def __len__(self) -> int:
        """Return the number of views (records are counted by ``n_records``)."""
        return len(self._views)

    @property
    def n_records(self) -> int:
        """Number of records."""
        return len(next(iter(self._views.values())))

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "Encoded":
        """Return some records, by index or by mask."""
        return Encoded({k: x[rows] for k, x in self._views.items()})

    def stacked(self) -> FloatArray:
        """Return all views side by side, (n, sum of d), in the order of iteration."""
        views = list(self._views.values())
        return views[0] if len(views) == 1 else np.hstack(views)

    @staticmethod
    def concat(parts: "list[Encoded]") -> "Encoded":
        """Return the records of several parts one after another.

        Raises:
            TaskError: no part at all, or parts with different views.
        """
        if not parts:
            raise TaskError("nothing to concatenate")
        if any(list(p) != list(parts[0]) for p in parts):
            raise TaskError(f"parts have different views: {[list(p) for p in parts]}")
        return Encoded({k: np.concatenate([p[k] for p in parts]) for k in parts[0]})


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Encoded records with their class indices.

    Attributes:
        x: n records.
        y: (n,) int64, index into the task's ``classes``; in a query also ``BACKGROUND``.

    Raises:
        TaskError: the two lengths differ.
    """

    x: Encoded
    y: IntArray

    def __post_init__(self) -> None:
        """Check the lengths."""
        if self.x.n_records != len(self.y):
            raise TaskError(f"{self.x.n_records} records but {len(self.y)} labels")

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.y)


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """What a detector is adapted on.

    Attributes:
        examples: the K labelled records of each threat; may be empty (K = 0: novelty only).
        background: unlabelled, mostly benign records of the user's own, at least one.
        classes: name of class 0, 1, ...; empty when K = 0.
        n_twins: so many first examples have a twin: the same thing made harmless, a function
            after its fix, say. Twins are the first records of the background, in the order of
            their examples. They are known to be no threat, and never calibrate.

    Raises:
        TaskError: a class without example, a label without class, no background, columns
            that differ between examples and background, or more twins than examples.
    """

    examples: Labelled
    background: Encoded
    classes: tuple[str, ...]
    n_twins: int = 0

    def __post_init__(self) -> None:
        """Check that labels, classes and columns agree."""
        seen = set(self.examples.y.tolist())
        if seen != set(range(len(self.classes))):
            raise TaskError(f"example labels are {sorted(seen)}, classes are {self.classes}")
        if self.background.n_records == 0:
            raise TaskError("no background record; give at least one benign record")
        shapes = [{k: v.shape[1] for k, v in e.items()} for e in (self.examples.x, self.background)]
        if shapes[0] != shapes[1]:
            raise TaskError(f"examples have columns {shapes[0]}, background {shapes[1]}")
        if not 0 <= self.n_twins <= min(len(self.examples), self.background.n_records):
            raise TaskError(
                f"{self.n_twins} twins of {len(self.examples)} examples, in a background of "
                f"{self.background.n_records}"
            )

    @property
    def n_way(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def pairs(self) -> tuple[FloatArray, FloatArray]:
        """Return the examples that have a twin, and the twins, (n_twins, d) each."""
        rows = np.arange(self.n_twins)
        return self.examples.x.take(rows).stacked(), self.background.take(rows).stacked()

    def usual(self) -> Encoded:
        """Return the background less the twins: what is usual here."""
        return self.background.take(np.arange(self.n_twins, self.background.n_records))

    def with_usual(self, rows: IntArray) -> "Support":
        """Return the support with some of the usual background only, and with all twins.

        Args:
            rows: places among ``usual``.
        """
        kept = np.concatenate([np.arange(self.n_twins), self.n_twins + np.asarray(rows)])
        return replace(self, background=self.background.take(kept))

    def without(self, example: int) -> "Support":
        """Return the support without one example and its twin."""
        rest = np.arange(len(self.examples)) != example
        examples = Labelled(self.examples.x.take(rest), self.examples.y[rest])
        if example >= self.n_twins:
            return replace(self, examples=examples)
        others = np.arange(self.background.n_records) != example
        return replace(
            self,
            examples=examples,
            background=self.background.take(others),
            n_twins=self.n_twins - 1,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One problem to learn from or to be judged on.

    Attributes:
        support: what the learner may see.
        query: records whose labels only the metric (and the outer loop) may see;
            ``BACKGROUND`` marks those that belong to no class.
        domain: name of the domain the records come from.

    Raises:
        TaskError: a query label outside -1 .. n_way - 1.
    """

    support: Support
    query: Labelled
    domain: str

    def __post_init__(self) -> None:
        """Check the query's labels."""
        y = self.query.y
        if len(y) and not (y.min() >= BACKGROUND and y.max() < self.support.n_way):
            raise TaskError(f"query has a label outside -1..{self.support.n_way - 1}")
