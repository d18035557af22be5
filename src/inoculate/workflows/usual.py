"""What adapts when nothing is asked for: measured, in this order.

The prior that is shipped for the kind of record; one that was trained on pairs only where examples
have twins. Without a prior, where columns are hundreds of hashed counts, the committee; where they
are a table's own, extra trees, which are fast and close to the best, or without any example the
prior ``auto`` (docs/measured.md has the figures).
"""

from collections.abc import Sequence

from inoculate.domain import View
from inoculate.store.artifact import usual_prior

MANY_COLUMNS = 200
"""More columns than a table of measured quantities has; text and calls have more."""


def usual(
    kind: str, views: Sequence[View], *, examples: bool, twins: bool = False
) -> tuple[str | None, str | None]:
    """Return the name of a learner, or that of a prior, and None for the other.

    Args:
        kind: of the records.
        views: their columns.
        examples: False to tell what is new.
        twins: whether the examples have some.
    """
    if prior := usual_prior(kind, twins=twins):
        return None, prior
    if sum(len(v.columns) for v in views) > MANY_COLUMNS:
        return "committee", None
    return ("extra_trees", None) if examples else (None, "auto")
