"""What the workers that look at executables and the process that asks them agree on."""

from collections.abc import Iterable
from itertools import islice

PE, ELF, ONLY_BYTES = 1, 2, 3
"""Modes of a request; ``ONLY_BYTES`` asks for what no parser is needed for."""
MOST_NAMES = 1_500
"""Names of one sort kept of each file."""
LONGEST_NAME = 120
"""Characters kept of each name."""


def cut_names(names: Iterable[str], most: int = MOST_NAMES) -> list[str]:
    """Return the first names, each cut, without lone surrogates."""
    some = [name[:LONGEST_NAME] for name in islice(names, most)]
    try:
        "".join(some).encode()
    except UnicodeEncodeError:
        return [name.encode("utf-8", "replace").decode() for name in some]
    return some
