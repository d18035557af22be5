"""An action drawn from four softmaxes at once, and arrays taken back only when they fit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from inoculate.agent import Action, Space
from inoculate.errors import ArtifactError

Shapes = Mapping[str, tuple[int, ...]]


class Heads:
    """The four parts of an action as neighbouring slices of one row of logits.

    Args:
        actions: how many choices each part has.

    Attributes:
        sizes: (4,) choices of each part.
        width: logits of all parts together.
        owner: (width,) which part a logit belongs to.
        starts: (4,) first logit of each part.
    """

    def __init__(self, actions: tuple[int, ...]) -> None:
        self.sizes = sizes = np.array(actions)
        self.width = int(sizes.sum())
        self.owner = np.repeat(np.arange(len(sizes)), sizes)
        self.starts = np.cumsum(sizes) - sizes
        self._ends = np.cumsum(sizes) - 1
        self._last = sizes - 1

    def draw(self, logits: npt.NDArray[np.floating[Any]], rng: np.random.Generator) -> Action:
        """Draw each part from its own softmax; ``logits`` is (width,)."""
        mass = logits.astype(np.float64)
        mass -= np.maximum.reduceat(mass, self.starts).take(self.owner)
        np.exp(mass, mass)
        mass.cumsum(out=mass)
        ends = mass.take(self._ends)
        wanted = rng.random(len(ends))
        wanted[1:] = ends[:-1] + wanted[1:] * (ends[1:] - ends[:-1])
        wanted[0] *= ends[0]
        chosen = mass.searchsorted(wanted, side="right") - self.starts
        return Action(*np.minimum(chosen, self._last).tolist())

    def probabilities(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the softmax within each part of logits (n, width), (n, width)."""
        highest = np.maximum.reduceat(logits, self.starts, axis=1)
        mass = np.exp(logits - highest[:, self.owner])
        whole = np.add.reduceat(mass, self.starts, axis=1)
        found: npt.NDArray[Any] = mass / whole[:, self.owner]
        return found

    def taken(self, actions: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return actions (n, 4) as four ones in rows of zeros, (n, width)."""
        ones = np.zeros((len(actions), self.width), np.float32)
        np.put_along_axis(ones, actions + self.starts, 1.0, axis=1)
        return ones


def fitting(
    arrays: Mapping[str, npt.NDArray[Any]], shapes: Shapes, *, of: str
) -> dict[str, npt.NDArray[np.float32]]:
    """Return copies of the named arrays as float32, when each is as it must be.

    Args:
        arrays: by name; more than are asked for may be there.
        shapes: of each array wanted.
        of: what they are the arrays of, for the message.

    Raises:
        ArtifactError: one is missing, has another shape, or holds what is not a finite number.
    """
    found = {}
    for name, shape in shapes.items():
        have = np.asarray(arrays.get(name, "missing"))
        if have.dtype.kind not in "fiu" or have.shape != shape:
            raise ArtifactError(f"{of}: {name!r} is {have.dtype} {have.shape}, expected {shape}")
        with np.errstate(over="ignore"):
            found[name] = have.astype(np.float32)
        if not np.isfinite(found[name]).all():
            raise ArtifactError(f"{of}: {name!r} holds a number that is not finite")
    return found


def stored_space(state: Mapping[str, npt.NDArray[Any]]) -> Space:
    """Return the space that a stored agent was meta-trained for.

    Args:
        state: with ``actions``, (4,) whole numbers, and ``shift``, (n_observed,).

    Raises:
        ArtifactError: one of them is missing or no such array.
    """
    actions, shift = (np.asarray(state.get(name, ())) for name in ("actions", "shift"))
    n_parts = len(Action._fields)
    if actions.shape != (n_parts,) or actions.dtype.kind not in "iu" or not (actions > 0).all():
        raise ArtifactError(f"an agent needs {n_parts} numbers of choices named 'actions'")
    if shift.ndim != 1 or not shift.size:
        raise ArtifactError("an agent needs one number an observed number, named 'shift'")
    return Space(tuple(actions.tolist()), n_observed=shift.size)


class Scale:
    """Observations shifted and stretched to about unit size, and cut off at 5.

    Args:
        shift: (n,) mean of each number over meta-training.
        stretch: (n,) one over its standard deviation.
    """

    LIMIT = np.float32(5.0)
    LEAST = 0.05

    def __init__(self, shift: npt.NDArray[np.float32], stretch: npt.NDArray[np.float32]) -> None:
        self.shift, self.stretch = shift, stretch

    @classmethod
    def of(cls, observations: npt.NDArray[np.float32]) -> "Scale":
        """Return the scale of observations (m, n) seen in meta-training."""
        spread = np.maximum(observations.std(axis=0), cls.LEAST)
        return cls(observations.mean(axis=0).astype(np.float32), (1 / spread).astype(np.float32))

    def __call__(self, seen: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return observations (..., n) as they are worked with."""
        x = (seen - self.shift) * self.stretch
        np.minimum(x, self.LIMIT, out=x)
        np.maximum(x, -self.LIMIT, out=x)
        return x
