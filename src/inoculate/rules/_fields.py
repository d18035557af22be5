"""Conditions on texts that are fields of a record: is, ends, has, in small letters."""

from collections.abc import Callable, Sequence

import numpy as np

from inoculate.domain import Fact
from inoculate.rule import BoolArray, Described

_TESTS: dict[str, Callable[[str, str], bool]] = {
    "is": str.__eq__,
    "ends": str.endswith,
    "starts": str.startswith,
    "has": str.__contains__,
}


def fields_hold(
    conditions: Sequence[Fact], records: Sequence[Described], *, start: str = "field:"
) -> BoolArray:
    """Return which conditions ``OPERATION:FIELD`` hold of which records, (n, m).

    Letters' case does not matter, but for those beyond ASCII.

    Args:
        conditions: operation is ``is``, ``ends``, ``starts`` or ``has``.
        records: their facts ``start + FIELD`` are looked at.
        start: what stands before a field's name in the kind of its facts.
    """
    out = np.zeros((len(records), len(conditions)), bool)
    by_field: dict[str, list[int]] = {}
    for i, condition in enumerate(conditions):
        by_field.setdefault(condition.kind.partition(":")[2], []).append(i)
    for name, places in by_field.items():
        rows: dict[str, list[int]] = {}
        for row, record in enumerate(records):
            for value in record.values(start + name):
                rows.setdefault(small(value), []).append(row)
        for value, at in rows.items():
            fits = [
                i
                for i in places
                if _TESTS[conditions[i].kind.partition(":")[0]](value, small(conditions[i].value))
            ]
            out[np.ix_(at, fits)] = True
    return out


def small(text: str) -> str:
    """Return a text with ASCII letters small; others as they are, as in most tools."""
    return text.lower() if text.isascii() else "".join(c.lower() if c < "\x80" else c for c in text)
