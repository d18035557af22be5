"""Which columns a detector may look at, given what its examples can know.

Two things would teach a detector nonsense. A column that one side never knows (a Zeek log has
no packet gaps) separates examples from background by the tool, not by the threat. And where
the examples' sources hold nothing but examples, a flow's context is that of the cutting, not
of the host's life: five flows cut out of a day look like a host that does nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from inoculate.domain import View
from inoculate.task import Encoded, FloatArray, Labelled, Support

Keep = dict[str, npt.NDArray[np.bool_]]
"""For each view, which of its columns to keep: (d,) bool."""

ENOUGH = 0.6
"""Share of left-out examples to be found without context columns, below which they are tried."""


def both_sides_know(views: Sequence[View], support: Support) -> Keep:
    """Return, for each view, which columns are known in some example and some background."""
    return {
        view.name: _known(support.examples.x[view.name]) & _known(support.background[view.name])
        for view in views
    }


def without_context(views: Sequence[View]) -> Keep:
    """Return, for each view, which columns speak of the record itself."""
    return {view.name: np.array([not c.context for c in view.columns], bool) for view in views}


def narrow(views: Sequence[View], support: Support, keep: Keep) -> tuple[tuple[View, ...], Support]:
    """Return views and support with only the columns to keep."""
    narrowed = tuple(
        View(v.name, tuple(c for c, k in zip(v.columns, keep[v.name], strict=True) if k))
        for v in views
    )

    def cut(x: Encoded) -> Encoded:
        return Encoded({name: x[name][:, keep[name]] for name in x})

    return narrowed, _mapped(support, cut)


def blank(support: Support, keep: Keep) -> Support:
    """Return the support with the other columns unknown, for learners with fixed columns."""

    def hide(x: Encoded) -> Encoded:
        return Encoded({name: _hidden(x[name], keep[name]) for name in x})

    return _mapped(support, hide)


def _hidden(x: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    return np.where(keep, x, np.float32(np.nan)).astype(np.float32)


def _mapped(support: Support, change: Callable[[Encoded], Encoded]) -> Support:
    examples = Labelled(change(support.examples.x), support.examples.y)
    return replace(support, examples=examples, background=change(support.background))


def _known(x: FloatArray) -> npt.NDArray[np.bool_]:
    return np.asarray((~np.isnan(x)).any(axis=0), bool)
